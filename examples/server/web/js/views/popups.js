// What opens above the page: menus, panels, dialogs, questions, and words on what went wrong. The browser closes them on
// Escape or a click beside them, and gives the focus back.

import { button, el, iconButton, rove } from '../dom.js';

/** Beside what opened it, within the window. */
function placeBeside(popup, anchor) {
  const from = anchor.getBoundingClientRect();
  const { width, height } = popup.getBoundingClientRect();
  const left = Math.max(8, Math.min(from.left, innerWidth - width - 8));
  const below = from.bottom + 4;
  const top = below + height < innerHeight - 8 ? below : Math.max(8, from.top - height - 4);
  popup.style.setProperty('left', `${left}px`);
  popup.style.setProperty('top', `${top}px`);
}

function show(popup, anchor, back = anchor) {
  // Within a landmark, where screen readers look.
  (anchor.closest('main, nav, dialog') ?? document.body).append(popup);
  popup.addEventListener('toggle', ({ newState }) => {
    if (newState !== 'closed') return;
    const hadFocus = popup.contains(document.activeElement) || document.activeElement === document.body;
    popup.remove();
    anchor.removeAttribute('aria-expanded');
    if (hadFocus && back.isConnected) back.focus();
  });
  popup.showPopover();
  anchor.setAttribute('aria-expanded', 'true');
  placeBeside(popup, anchor);
}

/** A menu of `[name, action]`; absent items are left out. */
export function openMenu(anchor, label, items, back) {
  const buttons = items.filter(Boolean).map(([name, action, kind]) => el('button', {
    role: 'menuitem', tabindex: -1, class: kind,
    on: {
      click() {
        menu.hidePopover();
        action();
      },
    },
  }, name));
  const menu = el('div', { class: 'popup menu', role: 'menu', 'aria-label': label, popover: 'auto' }, buttons);
  rove(menu, () => buttons);
  menu.addEventListener('keydown', (event) => {
    if (event.key === 'Tab') menu.hidePopover();
  });
  show(menu, anchor, back);
  buttons[0].focus();
}

/** A small dialog that leaves the rest of the page as it is. */
export function openPanel(anchor, label, content) {
  const panel = el('div', { class: 'popup panel', role: 'dialog', 'aria-label': label, popover: 'auto' }, content);
  show(panel, anchor);
  panel.querySelector('button, input')?.focus();
  return panel;
}

/** A dialog before everything else. */
export function openDialog(label, content, { className = '', close = true } = {}) {
  const dialog = el('dialog', { class: className, 'aria-label': label },
    close && el('header', {}, el('h2', {}, label), iconButton('close', 'Close', () => dialog.close())),
    content);
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Asks before something is done that can't be undone. `verb` names the dialog and the button. */
export function confirm(verb, question) {
  return new Promise((resolve) => {
    const yes = button(verb, () => dialog.close('yes'), 'danger');
    const no = button('Cancel', () => dialog.close());
    const content = [el('p', {}, question), el('div', { class: 'row end' }, no, yes)];
    const dialog = openDialog(verb, content, { className: 'question', close: false });
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'));
  });
}

let words;

/** Says what went wrong, to everybody. */
export function complain(message) {
  words?.remove();
  const close = iconButton('close', 'Dismiss', () => note.remove());
  const note = el('div', { class: 'complaint', role: 'alert' }, el('span', {}, message), close);
  words = note;
  (document.querySelector('dialog[open]') ?? document.querySelector('main') ?? document.body).append(note);
  setTimeout(() => note.remove(), 8000);
}

/** Does it, and says so if it fails. Returns whether it went well. */
export async function attempt(act) {
  try {
    await act();
    return true;
  } catch (error) {
    complain(error.message);
    return false;
  }
}

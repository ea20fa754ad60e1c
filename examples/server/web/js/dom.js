// Making elements. Text becomes text nodes and never HTML, so nothing that people write can become markup.

/**
 * An element. `on` has listeners, `data` goes to the dataset; everything else is an attribute, and one that is false or
 * absent is left out. Children are nodes or texts; absent ones are left out.
 */
export function el(tag, { on, data, ...attributes } = {}, ...children) {
  const node = document.createElement(tag);
  // It would send the form around it otherwise.
  if (tag === 'button') node.type = 'button';
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? '' : value);
  }
  Object.assign(node.dataset, data);
  for (const [type, listener] of Object.entries(on ?? {})) node.addEventListener(type, listener);
  return fill(node, ...children);
}

/** Gives an element these children instead of those that it has. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat(2).filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

const SVG = 'http://www.w3.org/2000/svg';

const PATHS = {
  back: 'M15 5l-7 7 7 7',
  bell: 'M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 21h4',
  check: 'M5 13l4 4L19 7',
  checks: 'M2 13l4 4L15 7M11 16l1 1L22 7',
  clip: 'M20 11l-8 8a5 5 0 0 1-7-7l8-8a3.3 3.3 0 0 1 5 5l-8 8a1.7 1.7 0 0 1-2.5-2.5l7-7',
  clock: 'M12 7v5l3 2M12 3a9 9 0 1 0 .01 0',
  close: 'M6 6l12 12M18 6L6 18',
  dots: 'M12 5h.01M12 12h.01M12 19h.01',
  down: 'M6 9l6 6 6-6',
  leave: 'M10 4H5v16h5M15 8l4 4-4 4M19 12H9',
  search: 'M11 4a7 7 0 1 0 .01 0M16 16l5 5',
  send: 'M4 12l16-8-5 16-3-7zM12 13l8-9',
  smile: 'M12 3a9 9 0 1 0 .01 0M8 14a4.5 4.5 0 0 0 8 0M9 9.5h.01M15 9.5h.01',
  warn: 'M12 8v5M12 16h.01M12 3a9 9 0 1 0 .01 0',
};

/** A drawing beside a name, so it is hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}

/** A button that shows a drawing only; `label` is its name. */
export function iconButton(name, label, onClick, attributes = {}) {
  return el('button', { class: 'icon-button', 'aria-label': label, title: label, on: { click: onClick }, ...attributes }, icon(name));
}

export const button = (text, click, kind = 'plain') => el('button', { class: kind, on: { click } }, text);

/** What only screen readers tell. */
export const told = (text) => el('span', { class: 'told' }, text);

/** A picture of a person, or their initials on a colour of their own. Decoration: the name stands beside it. */
export function avatar(user, extra = '') {
  const box = el('span', { class: `avatar ${extra}`, 'aria-hidden': 'true' });
  const showInitials = () => {
    const words = (user?.fullName ?? '').trim().split(/\s+/);
    const letters = [words[0], words.length > 1 ? words.at(-1) : ''].map((word) => [...(word ?? '')][0] ?? '');
    // By the style sheet, so that it is no part of anybody's name.
    box.dataset.initials = letters.join('').toUpperCase();
    // Ids count upwards, so neighbours are to differ.
    const hue = [...(user?._id ?? '')].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 9973, 7) % 24;
    box.style.setProperty('--hue', String(hue * 15));
    box.replaceChildren();
  };
  if (user?.profilePic) box.append(el('img', { src: user.profilePic, alt: '', loading: 'lazy', decoding: 'async', on: { error: showInitials } }));
  else showInitials();
  return box;
}

/**
 * Arrow keys within a list or a menu, of which the Tab key then sees one item only. `items` gives them in order, as they
 * are at the moment.
 */
export function rove(container, items) {
  container.addEventListener('keydown', (event) => {
    const all = items();
    const at = all.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined || event.altKey || event.ctrlKey || event.metaKey || at < 0 || !all[to]) return;
    event.preventDefault();
    all[to].focus();
  });
  container.addEventListener('focusin', (event) => {
    const all = items();
    if (all.includes(event.target)) for (const item of all) item.tabIndex = item === event.target ? 0 : -1;
  });
}

/** The keys of a message are drawn from what every browser has, also on a page without HTTPS. */
export function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export const wait = (millis) => new Promise((resolve) => { setTimeout(resolve, millis); });

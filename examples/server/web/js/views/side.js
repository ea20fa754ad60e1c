// The side: who I am, search, chats, contacts.

import { avatar, el, fill, icon, iconButton, rove, told } from '../dom.js';
import { askForNotifications, canAsk } from '../notify.js';
import { openChat } from '../router.js';
import { on, sortedChats, state } from '../state.js';
import { findPeople, mayHaveMorePeople, morePeople } from '../sync.js';
import { summary } from '../text.js';
import { shortTime } from '../time.js';
import { openProfile } from './profile.js';
import { tick, tickOf } from './message.js';

/** What is behind the name of a person, in a line of a list. */
function details(chat) {
  const user = state.users.get(chat.id);
  const draft = state.pending.findLast(({ to }) => to === chat.id);
  const last = draft ?? chat.last;
  const isMine = draft || last?.senderId === state.me._id;
  const preview = state.typing.has(chat.id)
    ? el('span', { class: 'preview typing' }, 'typing…')
    : el('span', { class: 'preview' }, last && isMine && !last.isDeleted && tick(tickOf(last, chat)), last ? summary(last) : user.email);
  return [
    last && el('time', { datetime: last.createdAt }, ' ', shortTime(last.createdAt)),
    ' ', preview,
    chat.unread > 0 && el('span', { class: 'badge' }, ` ${chat.unread}`, told(' unread')),
  ];
}

/** The line of one person: made once, then filled anew when something of it changes. */
function line(id) {
  const click = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    openChat(id);
  };
  const link = el('a', { class: 'person', href: `#chat=${id}`, tabindex: -1, on: { click } });
  const node = el('li', {}, link);
  let shown;
  return {
    node,
    link,
    show(chat) {
      const user = state.users.get(id);
      // What it would show, so that nothing is done where nothing changed.
      const now = JSON.stringify([user, chat, state.typing.has(id), state.open === id, state.pending.filter(({ to }) => to === id), new Date().getDate()]);
      if (now === shown) return;
      shown = now;
      fill(link,
        avatar(user, user.isOnline ? 'online' : ''),
        el('span', { class: 'name' }, user.fullName, user.isOnline && told(', online')),
        chat ? details(chat) : [' ', el('span', { class: 'preview' }, user.email)]);
      if (state.open === id) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    },
  };
}

/** A list with a line for each id, in their order, touching only what is out of place. */
function people(label) {
  const lines = new Map();
  const list = el('ul', { 'aria-label': label });
  const heading = el('h2', {}, label);
  return {
    node: el('div', { class: 'people' }, heading, list),
    list,
    show(ids, chatOf) {
      heading.hidden = !ids.length;
      list.hidden = !ids.length;
      const wanted = new Set(ids);
      for (const [id, { node }] of lines) {
        if (wanted.has(id)) continue;
        node.remove();
        lines.delete(id);
      }
      let next = list.firstChild;
      for (const id of ids) {
        if (!lines.has(id)) lines.set(id, line(id));
        const { node, show } = lines.get(id);
        show(chatOf(id));
        if (node === next) next = node.nextSibling;
        else list.insertBefore(node, next);
      }
    },
  };
}

function skeleton() {
  return el('div', { class: 'skeleton', 'aria-hidden': 'true' }, Array.from({ length: 6 }, () => el('i')));
}

export function sideView({ logOut, offs }) {
  const profile = el('button', { class: 'icon-button', 'aria-label': 'Profile', title: 'Profile', on: { click: openProfile } });
  const bell = iconButton('bell', 'Turn on notifications', async () => {
    await askForNotifications();
    bell.hidden = !canAsk();
  });
  bell.hidden = !canAsk();
  const search = el('input', { type: 'search', 'aria-label': 'Search people', placeholder: 'Search people', autocomplete: 'off' });
  const [chats, contacts] = [people('Chats'), people('Contacts')];
  const empty = el('p', { class: 'empty', role: 'status' });
  const loading = skeleton();
  const scroller = el('div', { class: 'scroller' }, loading, chats.node, contacts.node, empty);
  const node = el('nav', { 'aria-label': 'Chats' },
    el('header', {}, profile, el('h1', {}, 'Chats'), bell, iconButton('leave', 'Log out', logOut)),
    el('div', { class: 'search' }, icon('search'), search),
    scroller);

  const links = () => [...scroller.querySelectorAll('a.person')];
  rove(scroller, links);

  function show() {
    if (!state.me) return;
    loading.hidden = state.isLoaded;
    if (!state.isLoaded) return;
    const words = search.value.trim().toLowerCase();
    const matches = (id) => {
      const user = state.users.get(id);
      return user && (!words || `${user.fullName} ${user.email}`.toLowerCase().includes(words));
    };
    const with_ = sortedChats().map(({ id }) => id).filter(matches);
    const others = state.contacts.filter((id) => !state.chats.has(id) && matches(id));
    chats.show(with_, (id) => state.chats.get(id));
    contacts.show(others, () => undefined);
    empty.textContent = with_.length || others.length ? '' : words ? 'Nobody found.' : 'Nobody else is here yet.';
    // The Tab key leads to one of them.
    if (!links().some((link) => link.tabIndex === 0) && links()[0]) links()[0].tabIndex = 0;
  }

  let isDue = false;
  /** Many changes at once are shown once. */
  const due = () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      show();
    });
  };

  const showMe = () => profile.replaceChildren(avatar(state.me));
  for (const topic of ['chats', 'contacts', 'user', 'typing', 'open', 'loaded', 'pending']) offs.push(on(topic, due));
  // A page in the background draws nothing, but is to be right at once when it is looked at.
  offs.push(on('me', () => state.me && showMe()));
  const timer = setInterval(due, 60_000);
  offs.push(() => clearInterval(timer));
  showMe();
  show();

  offs.push(on('open', () => { search.value = ''; }));
  search.addEventListener('input', () => {
    show();
    const words = search.value;
    if (words.trim()) findPeople(words.trim(), () => search.value !== words);
  });
  search.addEventListener('keydown', (event) => {
    const first = links()[0];
    if (event.key === 'Escape' && search.value) {
      event.preventDefault();
      search.value = '';
      show();
    } else if (event.key === 'ArrowDown' && first) {
      event.preventDefault();
      first.focus();
    } else if (event.key === 'Enter' && search.value && first) {
      first.click();
    }
  });
  scroller.addEventListener('scroll', () => {
    if (mayHaveMorePeople() && scroller.scrollTop + scroller.clientHeight > scroller.scrollHeight - 400) morePeople();
  }, { passive: true });

  return {
    node,
    focus: () => links().find((link) => link.tabIndex === 0)?.focus({ preventScroll: true }),
    search() {
      search.focus();
      search.select();
    },
  };
}

// The page of somebody who is signed in: the side with its lists, the conversation, the banner, and the keys for all.

import { el } from '../dom.js';
import { closeChat, openChat } from '../router.js';
import { on, sortedChats, state } from '../state.js';
import { conversationView } from './conversation.js';
import { sideView } from './side.js';

const WORDS = {
  offline: 'Offline. Messages will be sent when the connection is back.',
  connecting: 'Connecting…',
};

/** A line that says when there is no connection. */
function banner(offs) {
  const node = el('div', { class: 'banner', role: 'status' });
  const show = () => {
    node.textContent = WORDS[state.link] ?? '';
    node.classList.toggle('shown', Boolean(WORDS[state.link]));
  };
  // The first moments of a page are not worth a word.
  const timer = setTimeout(show, 1500);
  offs.push(on('link', () => {
    if (state.link !== 'connecting' || node.textContent) show();
  }), () => clearTimeout(timer));
  return node;
}

/** Shows it in `root`. Returns a function that ends it. */
export function showApp(root, { logOut }) {
  const offs = [];
  const side = sideView({ logOut, offs });
  const main = el('main', {});
  let conversation;

  function open() {
    conversation?.end();
    conversation = state.open ? conversationView(main, state.open) : undefined;
    root.classList.toggle('in-chat', Boolean(state.open));
    if (conversation) {
      conversation.focus();
    } else {
      main.replaceChildren(el('div', { class: 'nothing' }, el('p', {}, state.chats.size || !state.isLoaded
        ? 'Choose a chat, or search for somebody to write to.' : 'No chats yet. Choose somebody from the contacts and say hello.')));
      side.focus();
    }
  }

  function onKey(event) {
    if (event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      side.search();
    } else if (event.altKey && ['ArrowUp', 'ArrowDown'].includes(event.key)) {
      event.preventDefault();
      const ids = sortedChats().map(({ id }) => id);
      const to = ids[ids.indexOf(state.open) + (event.key === 'ArrowDown' ? 1 : -1)];
      if (to) openChat(to);
    } else if (event.key === 'Escape' && !event.defaultPrevented && state.open && !document.querySelector('dialog[open], [popover]')) {
      closeChat();
    }
  }

  const keys = new AbortController();
  addEventListener('keydown', onKey, { signal: keys.signal });
  offs.push(on('open', open), on('focus', () => conversation?.focus()), on('loaded', () => state.open || open()), () => keys.abort());
  root.classList.add('chat');
  root.replaceChildren(banner(offs), side.node, main);
  open();
  return () => {
    conversation?.end();
    offs.forEach((off) => off());
    root.classList.remove('chat', 'in-chat');
  };
}

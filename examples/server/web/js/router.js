// Which conversation is open stands in the address, so that reloads, links and the browser's back button work.

import { state, tell } from './state.js';

const read = () => /^#chat=([0-9a-f]{24})$/.exec(location.hash)?.[1];

function follow() {
  const id = read();
  if (id === state.open || !state.me) return;
  state.open = id === state.me._id ? undefined : id;
  tell('open');
}

addEventListener('hashchange', follow);

/** Goes where the address says. */
export const followAddress = follow;

export function openChat(id) {
  if (id === state.open) return tell('focus');
  const address = `#chat=${id}`;
  // From one conversation to the next, back leads to the list.
  if (state.open) history.replaceState(history.state, '', address);
  else history.pushState({ fromList: true }, '', address);
  return follow();
}

export function closeChat() {
  if (history.state?.fromList) return history.back();
  history.replaceState(null, '', location.pathname + location.search);
  return follow();
}

// Where it begins: who is it, then either the sign-in or the chat.

import { ask, insist, session } from './api.js';
import * as kept from './kept.js';
import { resumeOutbox, stopOutbox } from './outbox.js';
import { forgetReceipts } from './receipts.js';
import { followAddress } from './router.js';
import { setMe, state } from './state.js';
import { connect, disconnect, load, loadChats } from './sync.js';
import { onTabs, tellTabs } from './tabs.js';
import { showApp } from './views/app.js';
import { attempt, confirm } from './views/popups.js';
import { showSignIn } from './views/signin.js';

const root = document.querySelector('#app');
/** Who was here last: then it is worth asking for everything at once. */
const HINT = ['who', 'last', 'here'];

let endApp;

/** The chat, for this user. */
function enter(user) {
  kept.put(...HINT, user._id);
  setMe(user);
  endApp = showApp(root, { logOut });
  resumeOutbox();
  followAddress();
  load();
}

/** The sign-in. What was typed stays kept, unless it was a log-out. */
function leave(how) {
  const email = state.me?.email;
  for (const popup of document.querySelectorAll('dialog, [popover]')) popup.remove();
  endApp?.();
  endApp = undefined;
  stopOutbox();
  disconnect();
  forgetReceipts();
  document.title = 'Chat';
  showSignIn(root, (user) => {
    tellTabs('in', user._id);
    connect();
    enter(user);
  }, { email, ...how });
}

async function logOut() {
  const me = state.me._id;
  const waiting = state.pending.length;
  const question = waiting === 1 ? 'A message is not sent yet, and will be lost.' : `${waiting} messages are not sent yet, and will be lost.`;
  if (waiting && !(await confirm('Log out', question))) return;
  if (!(await attempt(() => ask('POST', 'auth/logout')))) return;
  // Another tab may have noticed, and told, before this one had its answer.
  forget(me);
  tellTabs('out');
  leave({ email: '' });
}

/** Others may use this browser after a log-out. */
function forget(me) {
  kept.dropAll(me);
  kept.drop(...HINT);
  history.replaceState(null, '', location.pathname + location.search);
}

const ended = () => state.me && leave({ notice: 'Your sign-in has ended. Log in again; what you typed is still here.' });
session.ended = () => {
  if (state.me) tellTabs('ended');
  ended();
};

onTabs({
  out: () => state.me && leave({ email: '' }),
  ended,
  // Whoever it is now, nothing of somebody else is sent under their name.
  in: (id) => (state.me ? state.me._id === id || location.reload() : start()),
  me: (user) => state.me?._id === user._id && setMe(user),
});

let starts = 0;

async function start() {
  starts += 1;
  const mine = starts;
  // A page that was here before asks for all of it at once; else the first answer decides.
  const isKnown = kept.get(...HINT);
  if (isKnown) {
    connect();
    loadChats();
  }
  try {
    const { data } = await insist('GET', 'auth/me');
    // Somebody may have signed in since, in another tab.
    if (mine !== starts || state.me) return;
    if (!isKnown) connect();
    enter(data);
  } catch {
    if (mine === starts && !state.me) leave();
  }
}

start();

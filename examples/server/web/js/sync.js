// How the state comes to be, and stays, what the server has: load once, then follow the socket.
//
// The socket is opened first and its events are held until what is loaded is there: so nothing falls in between. A
// connection that comes back goes on from its cursor, and gets what it missed as events.

import { ask, insist } from './api.js';
import { alertOf } from './notify.js';
import { kick } from './outbox.js';
import { delivered, flushReceipts } from './receipts.js';
import { Socket } from './socket.js';
import {
  clear, isOwn, mergeChat, mergeMark, mergeMessage, mergePage, mergePresence, mergeReactions, mergeUser, on,
  removeMessage, setBlocked, setLink, setOnline, setTyping, state, tell,
} from './state.js';

const PAGE = 50;
/** Milliseconds without a further letter until people are searched for. */
const SOON = 200;

let socket;
let held = [];
let further = {}; // where the lists go on; null at their end
let loadingChats;
let epoch = 0; // another one for each sign-in: what was asked for somebody else is dropped
let meeting = Promise.resolve();

// Somebody whose name is not known yet: what is being loaded already may be from before.
on('stranger', () => {
  meeting = (loadingChats ?? Promise.resolve()).then(loadChats);
});

const apply = {
  sendMessage(message) {
    const isNews = mergeMessage(message);
    if (isOwn(message)) return;
    delivered(message.chatId, message.seq);
    if (!isNews) return;
    setTyping(message.senderId, false);
    meeting.then(() => alertOf(message));
  },
  editMessage: mergeMessage,
  deleteMessage: mergeMessage,
  reactions: mergeReactions,
  hideMessage: removeMessage,
  messagesDelivered: (mark) => mergeMark('delivered', mark),
  messagesRead: (mark) => mergeMark('read', mark),
  onlineUsers: setOnline,
  presence: mergePresence,
  typing: ({ senderId, isTyping }) => setTyping(senderId, isTyping),
  resync: loadAnew,
};

/** Opens the socket. What it says is held until `load` is done. */
export function connect() {
  let wasOpen = false;
  socket?.close();
  socket = new Socket({
    event(name, data) {
      if (state.isLoaded) apply[name]?.(data);
      else held.push([name, data]);
    },
    state(link) {
      setLink(link);
      if (link !== 'open') return;
      flushReceipts(socket);
      if (wasOpen) kickAsOneself();
      else kick();
      // Names and pictures of others may have changed, of which there is no event.
      if (wasOpen) loadChats();
      else catchUp();
      wasOpen = true;
    },
    // Whether the sign-in is over is said by the API only.
    lost: () => navigator.onLine && ask('GET', 'auth/me').catch(() => {}),
  });
}

/** Somebody else may have signed in in the meantime, in another tab. */
async function kickAsOneself() {
  const { data } = await insist('GET', 'auth/me').catch(() => ({}));
  if (data && state.me && data._id !== state.me._id) location.reload();
  else kick();
}

/** Answers to what was asked before the socket's first word may be from before it, too: what came in between has no event. */
async function catchUp() {
  await loadingChats;
  loadChats();
  for (const [id, { byId, loading }] of state.conversations) {
    await loading;
    const { data } = await insist('GET', `messages/${id}?limit=${PAGE}`).catch(() => ({ data: [] }));
    if (data.some(({ _id, updatedAt }) => byId.get(_id)?.updatedAt !== updatedAt)) loadNewest(id, true);
  }
}

/** Ends it all, as at a log-out. */
export function disconnect() {
  socket?.close();
  socket = undefined;
  held = [];
  further = {};
  loadingChats = loadingPeople = undefined;
  epoch += 1;
  clear();
}

/** Says something on the socket; resolves with the envelope, or with nothing. */
export const say = (event, data) => socket?.ask(event, data) ?? Promise.resolve();

/** Loads what there is to see first. */
export async function load() {
  const asked = epoch;
  await loadChats();
  if (asked !== epoch) return;
  state.isLoaded = true;
  for (const [name, data] of held) apply[name]?.(data);
  held = [];
  tell('loaded');
  flushReceipts(socket);
  await Promise.all([loadBlocked(), morePeople()]);
}

/** The newest chats; once at a time. */
export function loadChats() {
  loadingChats ??= (async () => {
    const asked = epoch;
    const { data, next } = await insist('GET', 'messages/chats?limit=100');
    if (asked !== epoch) return;
    loadingChats = undefined;
    for (const line of data) {
      mergeChat(line);
      if (line.unread) delivered(line.chatId, line.lastMessage?.seq ?? 0);
    }
    further.chats ??= next ?? null;
    tell('chats');
  })().catch(() => { loadingChats = undefined; });
  return loadingChats;
}

/** The cursor was too old: everything anew, and what was loaded of other conversations is forgotten. */
function loadAnew() {
  for (const id of state.conversations.keys()) if (id !== state.open) state.conversations.delete(id);
  further.chats = undefined;
  loadChats();
  if (state.open) loadNewest(state.open, true);
}

export async function loadBlocked() {
  const asked = epoch;
  const { data } = await insist('GET', 'auth/blocks');
  if (asked !== epoch) return;
  data.forEach(mergeUser);
  setBlocked(data.map(({ _id }) => _id));
}

function addPeople(data) {
  data.forEach(mergeUser);
  const name = (id) => state.users.get(id).fullName;
  state.contacts = [...new Set([...state.contacts, ...data.map(({ _id }) => _id)])].sort((a, b) => name(a).localeCompare(name(b)));
  tell('contacts');
}

let loadingPeople;

/** A further page of chats or else of people. Resolves with whether there may be more. */
export function morePeople() {
  loadingPeople ??= (async () => {
    const asked = epoch;
    try {
      if (further.chats) {
        const { data, next } = await insist('GET', `messages/chats${further.chats}`);
        if (asked !== epoch) return false;
        data.forEach(mergeChat);
        further.chats = next ?? null;
      } else if (further.people !== null) {
        const { data, next } = await insist('GET', `messages/contacts${further.people ?? '?limit=200'}`);
        if (asked !== epoch) return false;
        further.people = next ?? null;
        addPeople(data);
      }
      return Boolean(further.chats) || further.people !== null;
    } catch {
      return false;
    } finally {
      loadingPeople = undefined;
    }
  })();
  return loadingPeople;
}

export const mayHaveMorePeople = () => Boolean(further.chats) || further.people !== null;

/** Has the server look for people who are not loaded, unless something else is looked for by then. */
export async function findPeople(words, isOld) {
  await new Promise((resolve) => setTimeout(resolve, SOON));
  if (isOld()) return;
  try {
    addPeople((await ask('GET', `messages/contacts?search=${encodeURIComponent(words)}`)).data);
  } catch {
    // Those who are loaded are searched all the same.
  }
}

/** Begins to follow a conversation. */
export function openConversation(id) {
  if (state.conversations.has(id)) return;
  const conversation = { list: [], byId: new Map(), early: new Map(), more: undefined, isLoaded: false };
  state.conversations.set(id, conversation);
  conversation.loading = loadNewest(id);
}

async function loadNewest(id, anew = false) {
  const conversation = state.conversations.get(id);
  try {
    const { data, next } = await insist('GET', `messages/${id}?limit=${PAGE}`);
    if (state.conversations.get(id) === conversation) mergePage(id, data, next, { anew });
  } catch (error) {
    // Nobody has this id, say.
    state.conversations.delete(id);
    tell('failed', id, error.message);
  }
}

/** The page before what is there; once at a time. */
export async function loadOlder(id) {
  const conversation = state.conversations.get(id);
  if (!conversation?.more) return;
  conversation.loadingOlder ??= (async () => {
    try {
      const { data, next } = await insist('GET', `messages/${id}${conversation.more}`);
      if (state.conversations.get(id) === conversation) mergePage(id, data, next);
    } catch {
      // What was the oldest is not to be seen any more; an opening anew mends it.
    } finally {
      conversation.loadingOlder = undefined;
    }
  })();
  await conversation.loadingOlder;
}

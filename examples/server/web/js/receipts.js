// What is told of messages that came: that this device has them, that they were read. Marks only move forward, and one
// that did not get through is said again when the connection is back.

import { chatOf, noteRead } from './state.js';

const EVENTS = { delivered: 'messagesDelivered', read: 'messagesRead' };
const wanted = { delivered: new Map(), read: new Map() };
const done = { delivered: new Map(), read: new Map() };
const under = new Set();
let socket;

/** This device has a chat up to there. */
export function delivered(chatId, seq) {
  want('delivered', chatId, seq);
}

/** A chat was read up to there: at once as far as one sees oneself. */
export function read(chatId, seq) {
  const chat = chatOf(chatId);
  if (chat) noteRead(chat, seq);
  want('read', chatId, seq);
}

function want(kind, chatId, seq) {
  if (seq <= (wanted[kind].get(chatId) ?? 0)) return;
  wanted[kind].set(chatId, seq);
  say(kind, chatId);
}

async function say(kind, chatId) {
  const key = kind + chatId;
  const seq = wanted[kind].get(chatId);
  if (socket?.state !== 'open' || under.has(key) || !(seq > (done[kind].get(chatId) ?? 0))) return;
  under.add(key);
  const answer = await socket.ask(EVENTS[kind], { chatId, seq });
  under.delete(key);
  if (answer && answer.data?.code === 'rate_limited') {
    setTimeout(say, 5000, kind, chatId);
  } else if (answer) {
    done[kind].set(chatId, seq);
    // More may have come meanwhile.
    say(kind, chatId);
  }
}

/** On a connection that is open, says what is to be said. */
export function flushReceipts(on) {
  socket = on;
  for (const kind of ['delivered', 'read']) for (const chatId of wanted[kind].keys()) say(kind, chatId);
}

export function forgetReceipts() {
  for (const map of [wanted.delivered, wanted.read, done.delivered, done.read]) map.clear();
}

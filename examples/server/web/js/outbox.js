// What was typed and not answered yet. It is kept before it is sent, goes out in order, one at a time for each person,
// and again under the same `clientId` until there is an answer: so it arrives once, whatever breaks in between.

import { ask, upload } from './api.js';
import { randomId } from './dom.js';
import * as kept from './kept.js';
import { addPending, mergeMessage, on, removePending, state, tell } from './state.js';

/** Pictures that were sent from here are shown from here: no flicker when the answer comes. By `clientId`. */
export const localPictures = new Map();

let watching;
let sending = new Set();
let waiting = new Set();

on('settled', ({ clientId }) => {
  kept.drop('outbox', state.me._id, clientId);
  kept.dropPicture(clientId);
});

/** Goes on with what was left, and listens to what other tabs of this user leave. */
export async function resumeOutbox() {
  const me = state.me._id;
  watching = new AbortController();
  kept.watch('outbox', me, (id, entry) => {
    if (entry) adopt(entry, watching.signal).then(kick);
    else removePending(id);
  }, watching.signal);
  // All of them before any is sent: storage has no order.
  const { signal } = watching;
  await Promise.all(kept.all('outbox', me).map((entry) => adopt(entry, signal)));
  if (signal.aborted) return;
  kick();
}

export function stopOutbox() {
  watching?.abort();
  sending = new Set();
  waiting = new Set();
}

async function adopt(entry, signal) {
  const known = state.pending.find(({ clientId }) => clientId === entry.clientId);
  if (known) {
    known.failed = entry.failed;
    tell('pending', known);
  } else {
    // At once: nothing that stands behind it passes while its picture is looked for.
    const own = { ...entry };
    addPending(own);
    if (own.hasPicture) own.picture = await kept.getPicture(own.clientId);
    if (signal.aborted) return;
    if (own.picture) localPictures.set(own.clientId, URL.createObjectURL(own.picture));
    own.isKept = true;
    tell('pending', own);
  }
}

/** Puts a message on its way. */
export async function send(to, { text, picture, replyTo }) {
  const order = Math.max(Date.now(), (state.pending.at(-1)?.order ?? 0) + 1);
  const entry = { clientId: randomId(), to, text, replyTo, order, createdAt: new Date().toISOString(), picture, hasPicture: Boolean(picture) };
  if (picture) localPictures.set(entry.clientId, URL.createObjectURL(picture));
  addPending(entry);
  const me = state.me._id;
  if (picture) await kept.putPicture(entry.clientId, picture);
  // The sign-in may have ended meanwhile.
  keep(entry, me);
  pump(to);
}

function keep(entry, me = state.me._id) {
  const { picture, progress, isKept, ...plain } = entry;
  entry.isKept = kept.put('outbox', me, entry.clientId, plain);
}

export function tryAgain(entry) {
  entry.failed = undefined;
  keep(entry);
  tell('pending', entry);
  pump(entry.to);
}

export const discard = (entry) => removePending(entry.clientId);

/** The connection is back: no need to wait any longer. */
export function kick() {
  for (const go of waiting) go();
  for (const { to } of state.pending) pump(to);
}

/** Sends what waits for this person, until nothing does. */
async function pump(to) {
  const [mine, me] = [sending, state.me?._id];
  if (!me || mine.has(to)) return;
  mine.add(to);
  for (let attempt = 0; sending === mine;) {
    const entry = state.pending.find((one) => one.to === to && !one.failed);
    // One that is being kept comes back here by itself; what stands behind it has to wait.
    if (entry?.isKept === undefined) break;
    const failure = await alone(`chat.outbox.${me}.${to}`, () => deliver(entry, me));
    if (sending !== mine || failure?.status === 401) break;
    if (failure?.passes) {
      await pause(failure.retryAfter, attempt);
      attempt += 1;
    } else {
      attempt = 0;
      if (failure) refuse(entry, failure.message);
    }
  }
  mine.delete(to);
}

/** One attempt. Returns what went wrong. */
async function deliver(entry, me) {
  if (state.me?._id !== me) return undefined;
  if (entry.isKept && !kept.get('outbox', me, entry.clientId)) {
    // Another tab was faster.
    removePending(entry.clientId);
    return undefined;
  }
  const { to, text, clientId, replyTo, picture, hasPicture } = entry;
  if (hasPicture && !picture) return { message: 'This browser did not keep the picture.' };
  try {
    const path = `messages/send/${to}`;
    const { data } = picture
      ? await upload(path, form({ text, clientId, replyTo, image: picture }), (progress) => {
        entry.progress = progress;
        tell('progress', entry);
      }, watching.signal)
      : await ask('POST', path, { text, clientId, replyTo });
    if (state.me?._id !== me) return undefined;
    mergeMessage(data);
    removePending(clientId);
    return undefined;
  } catch (error) {
    return error;
  }
}

function form(fields) {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value) data.append(name, value);
  return data;
}

function refuse(entry, message) {
  entry.failed = message;
  if (entry.isKept) keep(entry);
  tell('pending', entry);
}

/** Of several tabs only one sends at a time, where the browser can arrange that. */
const alone = (name, act) => (navigator.locks ? navigator.locks.request(name, act) : act());

/** As long as the server asked for; or else longer each time, or until `kick`. */
function pause(retryAfter, attempt) {
  return new Promise((resolve) => {
    const go = () => {
      clearTimeout(timer);
      waiting.delete(go);
      resolve();
    };
    const backoff = Math.min(30_000, 500 * 2 ** attempt) * (0.5 + Math.random() / 2);
    const timer = setTimeout(go, retryAfter || backoff);
    if (!retryAfter) waiting.add(go);
  });
}

// What this browser keeps for a user, so that nothing typed is lost: drafts and unsent messages in `localStorage`, their
// pictures in IndexedDB. A browser that keeps nothing (a private window that is full, say) costs the reload, not the chat.

const prefix = (kind, me) => `chat.${kind}.${me}.`;

export const get = (kind, me, id) => JSON.parse(localStorage.getItem(prefix(kind, me) + id)) ?? undefined;

/** Returns whether it is kept. */
export function put(kind, me, id, value) {
  try {
    localStorage.setItem(prefix(kind, me) + id, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

export const drop = (kind, me, id) => localStorage.removeItem(prefix(kind, me) + id);

export function all(kind, me) {
  const start = prefix(kind, me);
  const ids = Object.keys(localStorage).filter((key) => key.startsWith(start)).map((key) => key.slice(start.length));
  return ids.map((id) => get(kind, me, id));
}

/** What is kept for this user is gone: others may use this browser. */
export function dropAll(me) {
  for (const entry of all('outbox', me)) dropPicture(entry.clientId);
  for (const key of Object.keys(localStorage)) if (key.split('.')[2] === me) localStorage.removeItem(key);
}

/** Calls `listener(id, value)` when another tab changes something of this kind; `value` is absent when it was dropped. */
export function watch(kind, me, listener, signal) {
  const start = prefix(kind, me);
  addEventListener('storage', ({ key, newValue }) => {
    if (key?.startsWith(start)) listener(key.slice(start.length), newValue ? JSON.parse(newValue) : undefined);
  }, { signal });
}

let database;

function pictures(mode, act) {
  database ??= new Promise((resolve, reject) => {
    const opening = indexedDB.open('chat', 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore('pictures');
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
  return database.then((db) => new Promise((resolve, reject) => {
    const transaction = db.transaction('pictures', mode);
    const request = act(transaction.objectStore('pictures'));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  })).catch(() => undefined);
}

export const putPicture = (id, blob) => pictures('readwrite', (store) => store.put(blob, id));
export const getPicture = (id) => pictures('readonly', (store) => store.get(id));
export const dropPicture = (id) => pictures('readwrite', (store) => store.delete(id));

// All that the page knows, and the only functions that change it. Views read it, and are told what changed.
//
// Everything may come twice and late: from the API, from the socket, from another tab. So merging goes by `_id`, the
// newer `updatedAt` wins, and order is `seq`.

export const state = {
  me: undefined,
  /** By id. */
  users: new Map(),
  /** By the partner's id: `{ id, chatId, last, newest, unread, readTo, deliveredSeq, readSeq }`. */
  chats: new Map(),
  /** Ids, by name. */
  contacts: [],
  /** By the partner's id, those that were opened: `{ list, byId, early, more, isLoaded }`. */
  conversations: new Map(),
  /** What waits to be sent, in order. */
  pending: [],
  /** Ids of those who write to us. */
  typing: new Set(),
  blocked: new Set(),
  /** The partner whose conversation is open. */
  open: undefined,
  link: 'connecting',
  isLoaded: false,
};

const listeners = new Map();

/** Calls `listener` for what is told on this topic, until the returned function is called. */
export function on(topic, listener) {
  if (!listeners.has(topic)) listeners.set(topic, new Set());
  listeners.get(topic).add(listener);
  return () => listeners.get(topic).delete(listener);
}

export function tell(topic, ...args) {
  for (const listener of listeners.get(topic) ?? []) listener(...args);
}

const partners = new Map(); // by chatId
const hidden = new Set(); // what an answer from before would bring back

/** As if nobody had signed in. */
export function clear() {
  for (const key of ['users', 'chats', 'conversations', 'typing', 'blocked']) state[key].clear();
  partners.clear();
  hidden.clear();
  Object.assign(state, { me: undefined, contacts: [], pending: [], open: undefined, isLoaded: false, link: 'connecting' });
}

export const isOwn = (message) => message.senderId === state.me?._id;
export const partnerOf = (message) => (isOwn(message) ? message.receiverId : message.senderId);
export const chatOf = (chatId) => state.chats.get(partners.get(chatId));
export const totalUnread = () => [...state.chats.values()].reduce((sum, chat) => sum + chat.unread, 0);

/** The chats, latest first. */
export function sortedChats() {
  const at = (chat) => chat.last?.createdAt ?? chat.since ?? '';
  return [...state.chats.values()].sort((a, b) => (at(a) < at(b) ? 1 : -1));
}

export function mergeUser({ _id, fullName, email, profilePic, isOnline, lastSeen }) {
  state.users.set(_id, { _id, fullName, email, profilePic, isOnline, lastSeen });
  tell('user', _id);
}

export function setMe(user) {
  state.me = user;
  tell('me');
}

export function setLink(link) {
  state.link = link;
  tell('link');
}

/** A line of the list of chats, as the API has it. */
export function mergeChat(line) {
  mergeUser(line);
  partners.set(line.chatId, line._id);
  const old = state.chats.get(line._id);
  const newest = line.lastMessage?.seq ?? 0;
  const chat = old ?? { id: line._id, chatId: line.chatId, newest: 0, readTo: 0, unread: 0, since: line.updatedAt, deliveredSeq: 0, readSeq: 0 };
  chat.deliveredSeq = Math.max(chat.deliveredSeq, line.deliveredSeq);
  chat.readSeq = Math.max(chat.readSeq, line.readSeq);
  // An answer can be older than an event that came meanwhile.
  if (!old || newest >= chat.newest) {
    chat.last = line.lastMessage ?? undefined;
    chat.newest = newest;
    chat.unread = chat.readTo >= newest ? 0 : line.unread;
  }
  state.chats.set(line._id, chat);
  tell('chats');
  tell('marks', line._id);
}

/** A message, wherever it comes from. Returns whether it is new to the list of chats, and says something to us. */
export function mergeMessage(message) {
  if (hidden.has(message._id)) return false;
  const id = partnerOf(message);
  partners.set(message.chatId, id);
  // First the list, so that who shows the message can note that it is read.
  const isNews = noteLast(id, message);
  const conversation = state.conversations.get(id);
  if (conversation) insert(conversation, id, message);
  if (message.clientId && isOwn(message)) removePending(message.clientId);
  return isNews;
}

function insert(conversation, id, message) {
  const { list, byId, more } = conversation;
  const old = byId.get(message._id);
  if (old && old.updatedAt > message.updatedAt) return;
  // Further up than what is loaded: it comes with its page.
  if (more && message.seq < list[0]?.seq) return;
  byId.set(message._id, message);
  const at = place(list, message.seq);
  list.splice(at, old ? 1 : 0, message);
  tell('message', id, message);
}

/** Where a message with this `seq` is, or belongs. Mostly at the end. */
export function place(list, seq) {
  let [low, high] = [0, list.length];
  if (high && list[high - 1].seq < seq) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle].seq < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

function noteLast(id, message) {
  let chat = state.chats.get(id);
  if (!chat) {
    // A change in a chat that is further down than what was loaded.
    if (message.isEdited || message.isDeleted) return false;
    // Their name is not known: whoever loads things has to look.
    if (!state.users.has(id)) {
      tell('stranger', id);
      return !isOwn(message);
    }
    chat = { id, chatId: message.chatId, newest: 0, readTo: 0, unread: 0, deliveredSeq: 0, readSeq: 0 };
    state.chats.set(id, chat);
  }
  const isNew = message.seq > chat.newest;
  if (isNew) {
    chat.newest = message.seq;
    if (isOwn(message)) Object.assign(chat, { unread: 0, readTo: message.seq });
    else if (message.seq > chat.readTo) chat.unread += 1;
  }
  const last = chat.last;
  if (!last || message.seq > last.seq || (message._id === last._id && message.updatedAt >= last.updatedAt)) {
    chat.last = message;
    tell('chats');
  }
  return isNew && !isOwn(message);
}

/** A page of a conversation. `more`: from where there are older ones. */
export function mergePage(id, messages, more, { anew = false } = {}) {
  const conversation = state.conversations.get(id);
  if (!conversation) return;
  const known = conversation.byId;
  if (anew) {
    // What came while this was on its way stays.
    const end = messages.at(-1)?.seq ?? 0;
    conversation.list = conversation.list.filter(({ seq }) => seq > end);
    conversation.byId = new Map(conversation.list.map((message) => [message._id, message]));
  }
  for (let message of messages) {
    if (hidden.has(message._id)) continue;
    partners.set(message.chatId, id);
    const old = conversation.byId.get(message._id);
    if (known.get(message._id)?.updatedAt > message.updatedAt) message = known.get(message._id);
    const early = conversation.early.get(message._id);
    if (early?.updatedAt > message.updatedAt) message = { ...message, ...early };
    conversation.byId.set(message._id, message);
    conversation.list.splice(place(conversation.list, message.seq), old ? 1 : 0, message);
    if (message.clientId && isOwn(message)) removePending(message.clientId, true);
  }
  conversation.more = more;
  conversation.isLoaded = true;
  tell('page', id, messages, anew);
}

/** Reactions, which come without their message. */
export function mergeReactions({ messageId, chatId, reactions, updatedAt }) {
  const id = partners.get(chatId);
  const conversation = state.conversations.get(id);
  const old = conversation?.byId.get(messageId);
  // The page that it is on may be on its way, from before.
  if (!old) conversation?.early.set(messageId, { reactions, updatedAt });
  else if (old.updatedAt <= updatedAt) mergeMessage({ ...old, reactions, updatedAt });
}

/** What somebody does not want to see any more. */
export function removeMessage({ messageId, chatId }) {
  hidden.add(messageId);
  const id = partners.get(chatId);
  const conversation = state.conversations.get(id);
  const message = conversation?.byId.get(messageId);
  if (message) {
    conversation.byId.delete(messageId);
    conversation.list.splice(place(conversation.list, message.seq), 1);
    tell('gone', id, messageId);
  }
  const chat = state.chats.get(id);
  if (chat?.last?._id === messageId) {
    chat.last = conversation?.list.at(-1);
    chat.newest = chat.last?.seq ?? 0;
    if (!chat.last) tell('stranger', id);
    tell('chats');
  }
}

/** Up to where somebody has got or read a chat. */
export function mergeMark(kind, { chatId, userId, seq }) {
  const chat = chatOf(chatId);
  if (!chat) return;
  if (userId === state.me._id) {
    if (kind === 'read') noteRead(chat, seq);
    return;
  }
  if (kind === 'read') chat.readSeq = Math.max(chat.readSeq, seq);
  chat.deliveredSeq = Math.max(chat.deliveredSeq, seq);
  tell('marks', chat.id);
  tell('chats');
}

/** We have read a chat up to there, here or on another device. */
export function noteRead(chat, seq) {
  if (seq <= chat.readTo) return;
  chat.readTo = seq;
  chat.unread = Math.min(chat.unread, Math.max(0, chat.newest - seq));
  tell('chats');
}

export function setOnline(ids) {
  const online = new Set(ids);
  for (const id of state.chats.keys()) mergePresence({ userId: id, isOnline: online.has(id) });
}

export function mergePresence({ userId, isOnline, lastSeen }) {
  const user = state.users.get(userId);
  if (!user || (user.isOnline === isOnline && !lastSeen)) return;
  Object.assign(user, { isOnline, lastSeen: lastSeen ?? user.lastSeen });
  if (!isOnline) setTyping(userId, false);
  tell('user', userId);
}

const timers = new Map();

/** It ends by itself, should the word that it has ended get lost. */
export function setTyping(id, isTyping) {
  clearTimeout(timers.get(id));
  if (isTyping) timers.set(id, setTimeout(setTyping, 7000, id, false));
  if (state.typing.has(id) === isTyping) return;
  if (isTyping) state.typing.add(id);
  else state.typing.delete(id);
  tell('typing', id);
}

export function setBlocked(ids) {
  state.blocked = new Set(ids);
  tell('blocked');
}

export function addPending(entry) {
  if (state.pending.some(({ clientId }) => clientId === entry.clientId)) return;
  state.pending.push(entry);
  state.pending.sort((a, b) => a.order - b.order);
  tell('pending', entry);
  tell('chats');
}

/** It has an answer, or is not wanted any more. */
export function removePending(clientId, quietly = false) {
  const at = state.pending.findIndex((entry) => entry.clientId === clientId);
  if (at < 0) return;
  const [entry] = state.pending.splice(at, 1);
  tell('settled', entry, quietly);
  tell('chats');
}

import { io } from 'socket.io-client';

/** A copy of one's messages that loses nothing. `kept` is what the page keeps between visits: `{ since, messages }`. */
export function connect(url, token, kept, reload) {
  const socket = io(url, { auth: (send) => send({ token, since: kept.since }) }); // asked for on every connect
  const on = (event, merge) => socket.on(event, (data, { cursor } = {}) => {
    merge(data);
    kept.since = cursor ?? kept.since; // where this copy stands, now that it has that
  });
  const upsert = (message) => {
    const old = kept.messages.get(message._id);
    if (!old || old.updatedAt <= message.updatedAt) kept.messages.set(message._id, message);
  };
  for (const event of ['sendMessage', 'editMessage', 'deleteMessage']) on(event, upsert);
  on('reactions', ({ messageId, reactions, updatedAt }) => {
    const old = kept.messages.get(messageId);
    if (old) upsert({ ...old, reactions, updatedAt });
  });
  on('hideMessage', ({ messageId }) => kept.messages.delete(messageId));
  on('onlineUsers', () => {}); // the first event on each connection: with it comes the first cursor
  on('resync', reload); // away for too long: ask the API for everything again
  return socket;
}

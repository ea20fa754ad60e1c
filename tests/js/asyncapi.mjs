// Validates the description of the sockets, and what really goes over them against it. BASE_URL; ANN and BOB: their
// tokens; ANN_ID and BOB_ID.
import assert from 'node:assert/strict';
import { Parser } from '@asyncapi/parser';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';
import { io } from 'socket.io-client';
import { WebSocket } from 'ws';

const { BASE_URL, ANN, ANN_ID, BOB, BOB_ID } = process.env;
const DEADLINE = AbortSignal.timeout(60_000);
const within = (promise) => Promise.race([
  promise,
  new Promise((_, reject) => { DEADLINE.addEventListener('abort', () => reject(new Error('nothing came in time'))); }),
]);

const source = await (await fetch(`${BASE_URL}/api/asyncapi.json`)).text();
const { document, diagnostics } = await new Parser().parse(source);
// 0 is an error, 1 a warning; hints below that are matters of taste.
const findings = diagnostics.filter(({ severity }) => severity <= 1);
assert.deepEqual(findings.map(({ message, path }) => `${path.join('/')}: ${message}`), []);
assert.ok(document, 'it was parsed');

const ajv = addFormats(new Ajv({ strict: false, allErrors: true }));
const whole = JSON.parse(source);
ajv.addSchema(whole, 'doc');
const checked = new Map();
function check(channel, message, value) {
  const key = `${channel}/messages/${message}`;
  if (!checked.has(key)) checked.set(key, ajv.compile({ $ref: `doc#/channels/${key}/payload` }));
  const validate = checked.get(key);
  assert.ok(validate(value), `${key}: ${JSON.stringify(value)}: ${ajv.errorsText(validate.errors)}`);
}

/** Waits for one of the list. */
const seen = (list, matches) => within((async () => {
  while (!list.some(matches)) await new Promise((resolve) => setTimeout(resolve, 5));
})());

// What is asked, with one that goes well and one that does not.
const asks = [
  ['sendMessage', { receiverId: BOB_ID, text: 'hello', clientId: 'c1' }],
  ['sendMessage', { receiverId: BOB_ID, text: '' }],
  ['typing', { receiverId: BOB_ID, isTyping: true }],
  ['typing', { receiverId: BOB_ID, isTyping: 5 }],
  ['deleteMessage', { messageId: BOB_ID }],
  ['editMessage', { messageId: BOB_ID, text: 'x' }],
  ['editMessage', { messageId: BOB_ID }],
  ['react', { messageId: BOB_ID, emoji: '👍' }],
  ['react', { messageId: BOB_ID, emoji: 'x' }],
  ['hideMessage', { messageId: BOB_ID }],
  ['messagesDelivered', { chatId: BOB_ID }],
  ['messagesRead', { chatId: BOB_ID, seq: -1 }],
];

const websocket = new WebSocket(`${BASE_URL.replace('http', 'ws')}/ws`, 'chat.v1.json', { headers: { authorization: `Bearer ${ANN}` } });
const frames = [];
websocket.on('message', (data) => frames.push(JSON.parse(String(data))));
await within(new Promise((resolve, reject) => websocket.once('open', resolve).once('error', reject)));
const socket = io(BASE_URL, { auth: { token: ANN }, transports: ['websocket'] });
const events = [];
socket.onAny((name, payload, more) => events.push({ name, payload, more }));
await within(new Promise((resolve, reject) => { socket.once('connect', resolve); socket.once('connect_error', reject); }));

let ids = 0;
/** Asks over both; what was answered over the WebSocket. */
async function ask(event, data) {
  ids += 1;
  const id = ids;
  websocket.send(JSON.stringify({ event, data, id }));
  await seen(frames, ({ reply }) => reply === id);
  const reply = frames.find((frame) => frame.reply === id);
  check('websocket', `${event}.answer`, reply);
  if (reply.success) check('websocket', `${event}.ask`, { event, data, id });
  const answer = await within(socket.emitWithAck(event, data));
  check('socketio', `${event}.answer`, answer);
  if (answer.success) check('socketio', `${event}.ask`, data);
  return reply;
}
let sent;
for (const [event, data] of asks) {
  const { data: answer } = await ask(event, data);
  sent ??= answer;
}
const done = async (event, data) => {
  const reply = await ask(event, data);
  assert.ok(reply.success, `${event}: ${JSON.stringify(reply)}`);
  return reply.data;
};
const { _id: messageId, chatId } = sent;
await done('sendMessage', { receiverId: BOB_ID, text: 'an answer', replyTo: messageId });
assert.equal((await done('editMessage', { messageId, text: 'hello again' })).isEdited, true);
assert.equal((await done('react', { messageId, emoji: '👍' })).reactions.length, 1);
assert.equal((await done('react', { messageId, emoji: '👍', isOn: false })).reactions.length, 0);
await done('messagesDelivered', { chatId });
await done('messagesRead', { chatId, seq: 1 });
assert.equal((await done('deleteMessage', { messageId })).isDeleted, true);
await done('hideMessage', { messageId });

// Bob comes, and writes.
const bobs = io(BASE_URL, { auth: { token: BOB }, transports: ['websocket'] });
bobs.emit('typing', { receiverId: ANN_ID, isTyping: true });
bobs.emit('sendMessage', { receiverId: ANN_ID, text: 'hi' });
bobs.emit('messagesDelivered', { chatId });
bobs.emit('messagesRead', { chatId });
for (const name of [
  'editMessage', 'reactions', 'hideMessage', 'deleteMessage', 'presence', 'typing', 'sendMessage', 'messagesDelivered', 'messagesRead',
]) {
  await seen(frames, ({ event }) => event === name);
  await seen(events, (event) => event.name === name);
}

// A cursor that is none.
const lost = new WebSocket(`${BASE_URL.replace('http', 'ws')}/ws?since=x`, { headers: { authorization: `Bearer ${ANN}` } });
lost.on('message', (data) => frames.push(JSON.parse(String(data))));
const lostToo = io(BASE_URL, { auth: { token: ANN, since: 'x' }, transports: ['websocket'], forceNew: true });
lostToo.onAny((name, payload, more) => events.push({ name, payload, more }));
await seen(frames, ({ event }) => event === 'resync');
await seen(events, ({ name }) => name === 'resync');

// The end of a session is told on both.
await fetch(`${BASE_URL}/api/auth/logout`, { method: 'POST', headers: { authorization: `Bearer ${ANN}` } });
await seen(frames, ({ event }) => event === 'closing');
await seen(events, ({ name }) => name === 'closing');

// Who is to load the state anew gets a cursor with that advice, and none before it.
const isBeforeResync = (name, { cursor }) => name === 'onlineUsers' && cursor === undefined;
const hasCursor = (name) => 'cursor' in whole.channels.websocket.messages[name].payload.properties;
for (const frame of frames.filter(({ event }) => event)) {
  check('websocket', frame.event, frame);
  if (!isBeforeResync(frame.event, frame)) assert.equal('cursor' in frame, hasCursor(frame.event), JSON.stringify(frame));
}
for (const { name, payload, more } of events) {
  check('socketio', name, payload);
  if (!isBeforeResync(name, more ?? {})) assert.deepEqual(Object.keys(more ?? {}), hasCursor(name) ? ['cursor'] : [], name);
}
console.log(`ok: ${checked.size} kinds of messages are as described`);
process.exit(0);

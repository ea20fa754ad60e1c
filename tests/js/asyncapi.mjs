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
];

const websocket = new WebSocket(`${BASE_URL.replace('http', 'ws')}/ws`, 'chat.v1.json', { headers: { authorization: `Bearer ${ANN}` } });
const frames = [];
websocket.on('message', (data) => frames.push(JSON.parse(String(data))));
await within(new Promise((resolve, reject) => websocket.once('open', resolve).once('error', reject)));
const socket = io(BASE_URL, { auth: { token: ANN }, transports: ['websocket'] });
const events = [];
socket.onAny((name, payload) => events.push({ name, payload }));
await within(new Promise((resolve, reject) => { socket.once('connect', resolve); socket.once('connect_error', reject); }));

let sent;
for (const [id, [event, data]] of asks.entries()) {
  websocket.send(JSON.stringify({ event, data, id }));
  await seen(frames, ({ reply }) => reply === id);
  const reply = frames.find((frame) => frame.reply === id);
  check('websocket', `${event}.answer`, reply);
  if (reply.success) check('websocket', `${event}.ask`, { event, data, id });
  sent ??= reply.data._id;
  const answer = await within(socket.emitWithAck(event, data));
  check('socketio', `${event}.answer`, answer);
  if (answer.success) check('socketio', `${event}.ask`, data);
}
const { data } = await within(socket.emitWithAck('deleteMessage', { messageId: sent }));
assert.equal(data.isDeleted, true);

// Bob comes, and writes.
const bobs = io(BASE_URL, { auth: { token: BOB }, transports: ['websocket'] });
bobs.emit('typing', { receiverId: ANN_ID, isTyping: true });
bobs.emit('sendMessage', { receiverId: ANN_ID, text: 'hi' });
for (const name of ['deleteMessage', 'presence', 'typing', 'sendMessage']) {
  await seen(frames, ({ event }) => event === name);
  await seen(events, (event) => event.name === name);
}

for (const frame of frames.filter(({ event }) => event)) check('websocket', frame.event, frame);
for (const { name, payload } of events) check('socketio', name, payload);
console.log(`ok: ${checked.size} kinds of messages are as described`);
process.exit(0);

// The npm package `ws` against the WebSocket door: the round of tests/python/zoo.py.
import assert from 'node:assert/strict';
import { WebSocket } from 'ws';

const { BASE_URL, ANN_ID, ANN_TOKEN, BOB_ID, BOB_TOKEN } = process.env;
const ANN = { id: ANN_ID, token: ANN_TOKEN };
const BOB = { id: BOB_ID, token: BOB_TOKEN };
const DEADLINE = 30_000;
const URL = `${BASE_URL.replace('http', 'ws')}/ws`;

async function until(what, probe) {
  const end = Date.now() + DEADLINE;
  for (;;) {
    const value = probe();
    if (value !== undefined) return value;
    if (Date.now() > end) throw new Error(`waited in vain for ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const headers = (token, auth) => (auth === 'header' ? { authorization: `Bearer ${token}` } : { cookie: `jwt=${token}` });

class Line {
  events = [];
  replies = new Map();
  ids = 0;

  static async open({ token }, auth) {
    const line = new Line();
    line.socket = new WebSocket(URL, ['chat.v1.json'], { headers: headers(token, auth) });
    line.socket.on('message', (data, isBinary) => {
      assert.equal(isBinary, false);
      const { reply, ...frame } = JSON.parse(String(data));
      if (reply === undefined) line.events.push(frame);
      else line.replies.set(reply, frame);
    });
    line.closed = new Promise((resolve) => { line.socket.once('close', resolve); });
    await new Promise((resolve, reject) => line.socket.once('open', resolve).once('error', reject));
    assert.equal(line.socket.protocol, 'chat.v1.json');
    await line.wait('onlineUsers');
    assert.equal(line.events[0].event, 'onlineUsers');
    return line;
  }

  all(name) {
    return this.events.filter(({ event }) => event === name).map(({ data }) => data);
  }

  wait(name, matches = () => true) {
    return until(() => `${name}; heard ${JSON.stringify(this.events)}`, () => this.all(name).find(matches));
  }

  async ask(event, data) {
    this.ids += 1;
    const id = this.ids;
    this.socket.send(JSON.stringify({ event, data, id }));
    const envelope = await until(() => `the reply to ${event}`, () => this.replies.get(id));
    assert.deepEqual(Object.keys(envelope).sort(), ['data', 'message', 'success']);
    return envelope;
  }

  async do(event, data) {
    const envelope = await this.ask(event, data);
    assert.equal(envelope.success, true, JSON.stringify(envelope));
    return envelope.data;
  }

  async refused(event, data, code) {
    const envelope = await this.ask(event, data);
    assert.deepEqual([envelope.success, envelope.data.code], [false, code]);
  }

  async close() {
    this.socket.close();
    await this.closed;
  }
}

async function history() {
  const response = await fetch(`${BASE_URL}/api/messages/${BOB.id}?limit=200`, { headers: headers(ANN.token, 'header') });
  return (await response.json()).data;
}

async function round(auth) {
  for (const wrong of ['', 'x.y.z']) {
    const socket = new WebSocket(URL, { headers: headers(wrong, auth) });
    const status = await new Promise((resolve, reject) => {
      socket.once('unexpected-response', (_, response) => { response.resume(); resolve(response.statusCode); });
      socket.once('open', () => reject(new Error('it was let in')));
    });
    assert.equal(status, 401);
  }
  const before = (await history()).length;
  const bob = await Line.open(BOB, auth);
  const ann = await Line.open(ANN, auth);
  const other = await Line.open(ANN, auth);
  assert.ok((await ann.wait('onlineUsers')).includes(BOB.id));
  // Else she was here a moment ago, which is not a departure.
  if (!bob.all('onlineUsers')[0].includes(ANN.id)) await bob.wait('presence', (who) => who.userId === ANN.id && who.isOnline);

  const draft = { receiverId: BOB.id, text: `ws ${auth}: über שלום 😀 \t end`, clientId: `ws ${auth}` };
  const sent = await ann.do('sendMessage', draft);
  assert.deepEqual([sent.text, sent.seq], [draft.text, before + 1]);
  const isIt = ({ _id }) => _id === sent._id;
  assert.deepEqual(await bob.wait('sendMessage', isIt), sent);
  assert.deepEqual(await other.wait('sendMessage', isIt), sent);
  assert.deepEqual(await ann.do('sendMessage', draft), sent, 'a repeat gets the first one again');

  await ann.do('typing', { receiverId: BOB.id, isTyping: true });
  await bob.wait('typing', ({ senderId, isTyping }) => senderId === ANN.id && isTyping);
  // By itself after 6 s; seen once, in the first round.
  if (before === 1) await bob.wait('typing', ({ senderId, isTyping }) => senderId === ANN.id && !isTyping);

  await ann.refused('sendMessage', { receiverId: BOB.id }, 'validation_failed');
  await ann.refused('deleteMessage', { messageId: BOB.id }, 'not_found');
  const deleted = await ann.do('deleteMessage', { messageId: sent._id });
  assert.deepEqual([deleted.isDeleted, deleted.text], [true, null]);
  for (const line of [ann, bob, other]) assert.deepEqual(await line.wait('deleteMessage', isIt), deleted);
  assert.deepEqual(ann.all('sendMessage').filter(isIt), [], 'an answer is not told as well');

  await bob.close();
  const again = await Line.open(BOB, auth);
  const answer = await again.do('sendMessage', { receiverId: ANN.id, text: 'back' });
  assert.deepEqual(await ann.wait('sendMessage', ({ _id }) => _id === answer._id), answer);
  assert.deepEqual((await history()).slice(before), [deleted, answer]);
  for (const line of [ann, other, again]) await line.close();
  console.log(`ok: ${auth}`);
}

await round('header');
await round('cookie');
process.exit(0);

// What the suites of the official Socket.IO client share. Nothing here sleeps: it waits for a condition with a deadline.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach } from 'node:test';
import zlib from 'node:zlib';
import { io } from 'socket.io-client';

function setting(name, allowed) {
  const value = process.env[name];
  if (!value || (allowed && !allowed.includes(value))) throw new Error(`${name} has to be set${allowed ? ` to one of ${allowed}` : ''}`);
  return value;
}

export const BASE = setting('BASE_URL').replace(/\/$/, '');
export const TRANSPORT = setting('TRANSPORT', ['websocket', 'polling', 'upgrade']);
export const AUTH = setting('AUTH', ['cookie', 'token']);
export const DEADLINE = 30_000;
export const NOBODY = '0123456789abcdef01234567';

const transports = { websocket: ['websocket'], polling: ['polling'], upgrade: ['polling', 'websocket'] }[TRANSPORT];
const open = new Set();

afterEach(() => {
  for (const socket of open) socket.disconnect();
  open.clear();
});

export async function until(what, probe) {
  const end = Date.now() + DEADLINE;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// --- HTTP ---

export async function api(method, path, { token, body, status } = {}) {
  const headers = { ...(token && { authorization: `Bearer ${token}` }), ...(body && { 'content-type': 'application/json' }) };
  const response = await fetch(BASE + path, { method, headers, body: body && JSON.stringify(body) });
  const envelope = await response.json();
  if (status) assert.equal(response.status, status, JSON.stringify(envelope));
  return { status: response.status, data: envelope.data, cookie: response.headers.get('set-cookie') };
}

const tokenOf = (cookie) => /^jwt=([^;]+)/.exec(cookie)[1];

async function credentials(path, body, status) {
  return until('a place at the password workers', async () => {
    const reply = await api('POST', path, { body });
    if (reply.status === 503) return undefined;
    assert.equal(reply.status, status, JSON.stringify(reply.data));
    return reply;
  });
}

export class Person {
  static async signup() {
    const tag = randomBytes(6).toString('hex');
    const form = { email: `js-${tag}@example.org`, fullName: `Js ${tag}`, password: `pw-Tr0ub4dor-${tag}` };
    const { data, cookie } = await credentials('/api/auth/signup', form, 201);
    return Object.assign(new Person(), { form, id: data._id, token: tokenOf(cookie) });
  }

  /** Another session of the same person. */
  async login() {
    const { email, password } = this.form;
    const { cookie } = await credentials('/api/auth/login', { email, password }, 200);
    return Object.assign(new Person(), this, { token: tokenOf(cookie) });
  }

  async say(to, text) {
    return (await api('POST', `/api/messages/send/${to.id}`, { token: this.token, body: { text }, status: 201 })).data;
  }

  async conversation(other) {
    return (await api('GET', `/api/messages/${other.id}?limit=200`, { token: this.token, status: 200 })).data;
  }

  async me() {
    return (await api('GET', '/api/auth/me', { token: this.token, status: 200 })).data;
  }
}

/** So many new people. */
export async function people(count) {
  const all = [];
  for (let i = 0; i < count; i += 1) all.push(await Person.signup());
  return all;
}

/** Two people who share a chat: each has written once. */
export async function friends() {
  const [ann, bob] = await people(2);
  await ann.say(bob, 'hello');
  await bob.say(ann, 'hello');
  return [ann, bob];
}

// --- Sockets ---

/** A raw socket, not connected yet. */
export function rawSocket({ token, headers = {}, auth } = {}) {
  const extraHeaders = { ...headers };
  if (AUTH === 'cookie' && token !== undefined) extraHeaders.cookie = `jwt=${token}`;
  const socket = io(BASE, {
    transports,
    extraHeaders,
    auth: auth ?? (AUTH === 'token' && token !== undefined ? { token } : undefined),
    autoConnect: false,
    reconnection: false,
    forceNew: true,
    timeout: DEADLINE,
  });
  open.add(socket);
  return socket;
}

/** What the server refuses a connection with. */
export function refusal(options) {
  const socket = rawSocket(options);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('neither connected nor refused')), DEADLINE);
    socket.once('connect', () => { clearTimeout(timer); reject(new Error('it was let in')); });
    socket.once('connect_error', (error) => { clearTimeout(timer); resolve(error); });
    socket.connect();
  });
}

/** A connected socket that remembers all that it was told, in order. */
export class Line {
  events = [];
  closed = undefined;

  static async open(person, options = {}) {
    const line = new Line();
    line.socket = rawSocket({ token: person.token, ...options });
    line.socket.onAny((name, ...args) => line.events.push({ name, args }));
    line.socket.on('disconnect', (reason) => { line.closed = reason; });
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no connection in time')), DEADLINE);
      line.socket.once('connect', () => { clearTimeout(timer); resolve(); });
      line.socket.once('connect_error', (error) => { clearTimeout(timer); reject(error); });
      line.socket.connect();
    });
    // The first thing that is said to a new socket: from here on it is known to the server's hub.
    await line.wait('onlineUsers');
    if (TRANSPORT === 'upgrade') {
      await until('the upgrade', () => line.socket.io.engine?.transport.name === 'websocket');
    }
    return line;
  }

  /** The payloads of this event so far. */
  all(name, matches = () => true) {
    return this.events.filter((event) => event.name === name).map((event) => event.args[0]).filter(matches);
  }

  /** The first payload of this event that matches, now or later. */
  async wait(name, matches = () => true) {
    return until(`${name} on a socket that heard ${JSON.stringify(this.events).slice(0, 500)}`, () => this.all(name, matches)[0]);
  }

  /** Emits and waits for the acknowledgement, which has to be an envelope. */
  async ask(name, ...args) {
    const envelope = await this.socket.timeout(DEADLINE).emitWithAck(name, ...args);
    assertEnvelope(envelope);
    return envelope;
  }

  /** As `ask`, for what has to go well. */
  async do(name, payload) {
    const envelope = await this.ask(name, payload);
    assert.equal(envelope.success, true, JSON.stringify(envelope));
    return envelope.data;
  }

  /** As `ask`, for what has to be refused. */
  async refused(name, payload, ...codes) {
    const { success, data } = await this.ask(name, payload);
    assert.equal(success, false, JSON.stringify(payload));
    assert.ok(codes.includes(data.code), `${JSON.stringify(payload)}: ${JSON.stringify(data)}, expected ${codes}`);
    return data;
  }

  close() {
    this.socket.disconnect();
  }
}

/**
 * Makes sure that all lines have heard what was said before now: somebody else writes to each of their people, and that
 * has arrived everywhere.
 */
export async function fence(...entries) {
  const herald = await Person.signup();
  for (const [person, ...lines] of entries) {
    const { _id } = await herald.say(person, 'fence');
    for (const line of lines) await line.wait('sendMessage', (message) => message._id === _id);
  }
}

/** Messages other than those of the fence. */
export const heard = (line, name = 'sendMessage') => line.all(name, (message) => message.text !== 'fence');

// --- Shapes ---

export function assertEnvelope(envelope) {
  assert.deepEqual(Object.keys(envelope).sort(), ['data', 'message', 'success']);
  assert.ok(typeof envelope.message === 'string' && envelope.message.length > 0);
  assert.ok(!/\$2b\$|\.rs:|panicked|sqlite|\/tmp\//i.test(JSON.stringify({ ...envelope, data: envelope.success ? null : envelope.data })));
  if (envelope.success) return;
  const isValidation = envelope.data.code === 'validation_failed';
  assert.deepEqual(Object.keys(envelope.data).sort(), isValidation ? ['code', 'fields'] : ['code']);
}

export function assertMessage(message) {
  const { unreadable, ...rest } = message;
  assert.deepEqual(Object.keys(rest).sort(), [
    '_id', 'chatId', 'clientId', 'createdAt', 'image', 'isDeleted', 'isEdited', 'reactions', 'receiverId', 'replyTo',
    'senderId', 'seq', 'text', 'updatedAt',
  ]);
  for (const key of ['_id', 'senderId', 'receiverId']) assert.match(message[key], /^[0-9a-f]{24}$/);
  for (const key of ['createdAt', 'updatedAt']) assert.match(message[key], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
}

// --- Pictures ---

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** A PNG of noise as a data URL: about width * height * 3 bytes before base64. */
export function picture(width, height) {
  const chunk = (type, data) => {
    const typed = Buffer.concat([Buffer.from(type), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(crc32(typed), 4);
    return Buffer.concat([frame.subarray(0, 4), typed, frame.subarray(4)]);
  };
  const head = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0]);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  const rows = Buffer.concat(Array.from({ length: height }, () => Buffer.concat([Buffer.of(0), randomBytes(width * 3)])));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const png = Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', zlib.deflateSync(rows, { level: 0 })), chunk('IEND', Buffer.alloc(0))]);
  return `data:image/png;base64,${png.toString('base64')}`;
}

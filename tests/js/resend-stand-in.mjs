// Resend's POST /emails as its documentation has it, for tests; every mail is compared with what Resend's own npm
// package sends for the same input.
//
//   node resend-stand-in.mjs [api-key [port]]    prints `listening on http://127.0.0.1:PORT`; ends when its stdin is closed
//
//   POST /__mode     {"mode", "times"?, …}: how it behaves, from now on or that many times
//     ok                  takes the mail
//     slow                takes it, and answers after 30 s
//     hold                takes it at POST /__release, and answers then
//     accept-then-hangup  takes it, and hangs up
//     hangup              hangs up
//     garbage             200 with something that is not JSON
//     unauthorized        401, the key is not accepted
//     unverified          403, the sender's domain is not verified
//     limited             429 with Retry-After: `retryAfter`, or 1
//     broken              500
//     refused             422, the address is not accepted
//   POST /__release  lets go of what is held
//   GET  /__log      the list of requests: `at` (ms), `key`, `mode`, `mail`, `status` (`null`: not answered),
//                    `isAccepted` (a mail goes out because of this request), `differences` (from the npm package)
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { isDeepStrictEqual } from 'node:util';
import { Resend } from 'resend';

const API_KEY = process.argv[2] ?? 're_stand_in';
const SLOW = 30_000;
const KEY_LIFE = 24 * 3600 * 1000;

const log = [];
/** By idempotency key: the body it came with, and the id of the mail, which is missing while that is in progress. */
const keys = new Map();
let mode = { mode: 'ok' };
let held = [];

// --- What the npm package sends ---

const captures = new Map();
const capture = createServer(async (request, response) => {
  const [, id, path] = request.url.match(/^\/([^/]+)(.*)$/);
  captures.get(id)({ method: request.method, path, headers: request.headers, body: JSON.parse(await text(request)) });
  response.setHeader('content-type', 'application/json').end('{"id":"captured"}');
});

async function official(mail, apiKey, idempotencyKey) {
  const id = randomUUID();
  const captured = new Promise((resolve) => captures.set(id, resolve));
  const resend = new Resend(apiKey, { baseUrl: `http://127.0.0.1:${capture.address().port}/${id}` });
  const { reply_to: replyTo, ...rest } = mail;
  const { error } = await resend.emails.send({ ...rest, replyTo }, { idempotencyKey });
  captures.delete(id);
  return error ? Promise.reject(new Error(`the npm package: ${error.message}`)) : captured;
}

async function differences(received) {
  const found = [];
  const fields = ['from', 'html', 'reply_to', 'subject', 'text', 'to'];
  const strange = Object.keys(received.body).filter((field) => !fields.includes(field));
  if (strange.length) found.push(`fields that nobody asked for: ${strange}`);
  const apiKey = received.headers.authorization?.replace(/^Bearer /, '');
  const expected = await official(received.body, apiKey, received.headers['idempotency-key']);
  for (const part of ['method', 'path', 'body']) {
    if (!isDeepStrictEqual(received[part], expected[part])) {
      found.push(`${part}: ${JSON.stringify(received[part])} and not ${JSON.stringify(expected[part])}`);
    }
  }
  for (const name of ['authorization', 'content-type', 'idempotency-key']) {
    if (received.headers[name] !== expected.headers[name]) found.push(`the header ${name}`);
  }
  // Each says what it is; Resend refuses who does not.
  if (!/^[\w-]+[:/][\d.]+$/.test(received.headers['user-agent'] ?? '')) found.push('the header user-agent');
  return found;
}

// --- Resend ---

const failure = (statusCode, name, message, headers = {}) => ({ statusCode, headers, body: { statusCode, name, message } });
const ADDRESS = /^[^\s<>@]+@[^\s<>@]+\.[^\s<>@]+$/;
const isMailbox = (value) => typeof value === 'string' && ADDRESS.test(/<([^<>]*)>$/.exec(value)?.[1] ?? value);

const refusals = {
  unauthorized: () => failure(401, 'invalid_api_key', 'API key is invalid'),
  unverified: () => failure(403, 'validation_error', 'The example.org domain is not verified.'),
  limited: ({ retryAfter = 1 }) => failure(429, 'rate_limit_exceeded', 'Too many requests.', { 'retry-after': `${retryAfter}` }),
  broken: () => failure(500, 'application_error', 'An unexpected error occurred.'),
  refused: () => failure(422, 'validation_error', 'Invalid `to` field.'),
};

/** What is wrong with a request, before anything is done about it. */
function fault({ headers, body }) {
  const key = headers['idempotency-key'];
  if (!headers['user-agent']) return failure(403, 'forbidden', 'error code: 1010');
  if (!headers.authorization) return failure(401, 'missing_api_key', 'Missing API key in the authorization header.');
  if (headers.authorization !== `Bearer ${API_KEY}`) return failure(403, 'invalid_api_key', 'API key is invalid');
  if (!key || key.length > 256) return failure(400, 'invalid_idempotency_key', 'The key must be between 1-256 chars.');
  if (typeof body !== 'object' || body === null) return failure(400, 'validation_error', 'Not a JSON object.');
  const missing = ['from', 'to', 'subject'].filter((field) => !body[field]);
  if (missing.length) return failure(422, 'missing_required_field', `Missing: ${missing}`);
  if (!isMailbox(body.from)) return failure(422, 'invalid_from_address', 'Invalid `from` field.');
  if (![body.to].flat().every(isMailbox)) return failure(422, 'validation_error', 'Invalid `to` field.');
  if (!body.html && !body.text) return failure(422, 'missing_required_field', 'Missing `html` or `text`.');
  return null;
}

/** Takes the mail, unless that was done under this key before. `work` is what it takes until it is done. */
async function accept({ headers, body }, entry, work) {
  const key = headers['idempotency-key'];
  const before = keys.get(key);
  if (before && Date.now() - before.at < KEY_LIFE) {
    if (!isDeepStrictEqual(before.body, body)) {
      return failure(409, 'invalid_idempotent_request', 'Same idempotency key used with a different request payload.');
    }
    if (!before.id) {
      return failure(409, 'concurrent_idempotent_requests', 'Same idempotency key used while original request is still in progress.');
    }
    return { statusCode: 200, headers: {}, body: { id: before.id } };
  }
  const use = { at: Date.now(), body };
  keys.set(key, use);
  await work;
  use.id = randomUUID();
  entry.isAccepted = true;
  return { statusCode: 200, headers: {}, body: { id: use.id } };
}

/** The mode that is on now; one that has a number of times is used up by that. */
function next() {
  const current = mode;
  if (mode.times !== undefined && --mode.times <= 0) mode = { mode: 'ok' };
  return current;
}

async function emails(request, response) {
  const received = { method: request.method, path: request.url, headers: request.headers, body: null };
  // A request that is cut off was never made.
  const raw = await text(request);
  try {
    received.body = JSON.parse(raw);
  } catch { /* A fault, below. */ }
  const current = next();
  const entry = {
    at: Date.now(),
    key: received.headers['idempotency-key'],
    mode: current.mode,
    mail: received.body,
    status: null,
    isAccepted: false,
    differences: [],
  };
  const wrong = fault(received);
  if (received.body) entry.differences = await differences(received).catch((error) => [String(error)]);
  log.push(entry);

  if (entry.mode === 'hangup') return request.socket.destroy();
  if (entry.mode === 'garbage') {
    entry.status = 200;
    return response.writeHead(200, { 'content-type': 'application/json' }).end('{"id": \u0000<html>');
  }
  const work = {
    slow: () => new Promise((resolve) => setTimeout(resolve, SLOW)),
    hold: () => new Promise((resolve) => held.push(resolve)),
  }[entry.mode];
  const answer = wrong ?? refusals[entry.mode]?.(current) ?? await accept(received, entry, work?.());
  if (entry.mode === 'accept-then-hangup') return request.socket.destroy();
  // Nobody may be there any more.
  if (response.destroyed) return;
  entry.status = answer.statusCode;
  response.writeHead(answer.statusCode, { 'content-type': 'application/json', ...answer.headers }).end(JSON.stringify(answer.body));
}

// --- The stand-in ---

const json = (response, value) => response.setHeader('content-type', 'application/json').end(JSON.stringify(value));

const routes = {
  'POST /emails': emails,
  'GET /__log': (request, response) => json(response, log),
  'POST /__mode': async (request, response) => {
    mode = JSON.parse(await text(request));
    json(response, mode);
  },
  'POST /__release': (request, response) => {
    const count = held.length;
    held.forEach((release) => release());
    held = [];
    json(response, { count });
  },
};

const server = createServer((request, response) => {
  const route = routes[`${request.method} ${request.url}`];
  if (!route) {
    log.push({ strange: `${request.method} ${request.url}`, differences: ['not a route that mail is sent by'] });
    response.writeHead(404).end(JSON.stringify(failure(404, 'not_found', 'No such endpoint.').body));
    return;
  }
  Promise.resolve(route(request, response)).catch((error) => {
    log.push({ strange: String(error), differences: [String(error)] });
    response.destroy();
  });
});

process.stdin.resume().on('end', () => process.exit());
await new Promise((resolve) => capture.listen(0, '127.0.0.1', resolve));
await new Promise((resolve) => server.listen(Number(process.argv[3] ?? 0), '127.0.0.1', resolve));
console.log(`listening on http://127.0.0.1:${server.address().port}`);

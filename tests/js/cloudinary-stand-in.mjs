// Cloudinary's upload API as its documentation has it, for tests; signatures are checked by Cloudinary's own npm package,
// and every request is compared with what that package sends for the same input.
//
//   node cloudinary-stand-in.mjs [sha1|sha256]   prints `listening on http://127.0.0.1:PORT`; ends when its stdin is closed
//
// The account is `key`, `secret`, `demo`.
//
//   POST /__mode     {"mode", "times"?}: how it behaves, from now on or that many times
//     ok                  does what it is asked for
//     slow                does it, and answers after 30 s
//     accept-then-hangup  does it, and hangs up
//     hangup              hangs up
//     garbage             200 with something that is not JSON
//     unauthorized        401, the key is not known
//     limited             429 with Retry-After: 1
//     broken              500
//   GET  /__log      the list of requests: `action`, `fields`, `file` (`name`, `type`, `size`), `status`, `differences`
//   GET  /__pictures the names of the pictures that are there
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { buffer, text } from 'node:stream/consumers';

// Read when it is loaded, and else it speaks HTTPS only.
process.env.CLOUDINARY_URL = 'cloudinary://key:secret@demo?upload_prefix=http://127.0.0.1';
const cloudinary = createRequire(import.meta.url)('cloudinary').v2;

const [CLOUD, KEY, SECRET] = ['demo', 'key', 'secret'];
const ALGORITHM = process.argv[2] ?? 'sha1';
const SLOW = 30_000;
const HOUR = 3600;

const log = [];
const pictures = new Map();
let mode = { mode: 'ok' };

/** The fields and the file of a form. */
function parse(headers, body) {
  const boundary = /boundary=([^;]+)/.exec(headers['content-type'] ?? '')?.[1];
  if (!boundary) throw new Error(`no form: ${headers['content-type']}`);
  const parts = body.toString('latin1').split(`--${boundary}`).slice(1);
  if (!parts.pop().startsWith('--')) throw new Error('the form does not end');
  const [fields, files] = [{}, {}];
  for (const part of parts) {
    const end = part.indexOf('\r\n\r\n');
    const head = part.slice(2, end);
    const value = Buffer.from(part.slice(end + 4, -2), 'latin1');
    const [, name] = /name="([^"]*)"/.exec(head);
    const file = /filename="([^"]*)"/.exec(head)?.[1];
    if (file === undefined) fields[name] = value.toString('utf8');
    else files[name] = { name: file, type: /Content-Type: (\S+)/i.exec(head)?.[1], bytes: value };
  }
  return { fields, files };
}

// --- What the npm package sends ---

let captured = () => {};
const capture = createServer(async (request, response) => {
  captured({ path: request.url, ...parse(request.headers, await buffer(request)) });
  response.setHeader('content-type', 'application/json').end('{"result":"ok","public_id":"captured"}');
});

/** One at a time: the package says nothing by which its requests could be told apart. */
let turn = Promise.resolve();
function official(action, fields, file) {
  const ask = async () => {
    const { signature: _, api_key: __, ...given } = fields;
    const options = {
      ...given,
      cloud_name: CLOUD, api_key: KEY, api_secret: SECRET, signature_algorithm: ALGORITHM,
      upload_prefix: `http://127.0.0.1:${capture.address().port}`,
    };
    const sent = new Promise((resolve) => { captured = resolve; });
    if (action === 'upload') {
      // As it is, and not taken apart and put together again.
      options.transformation = fields.transformation && { raw_transformation: fields.transformation };
      cloudinary.uploader.upload_stream(options, () => {}).end(file.bytes);
    } else {
      await cloudinary.uploader.destroy(fields.public_id, options);
    }
    return sent;
  };
  turn = turn.then(ask, ask);
  return turn;
}

async function differences(path, action, { fields, files }) {
  const found = [];
  const expected = await official(action, fields, files.file);
  if (path !== expected.path) found.push(`path: ${path} and not ${expected.path}`);
  for (const name of new Set([...Object.keys(fields), ...Object.keys(expected.fields)])) {
    if (fields[name] !== expected.fields[name]) found.push(`${name}: ${fields[name]} and not ${expected.fields[name]}`);
  }
  if (!Object.keys(files).every((name) => name in expected.files)) found.push(`files: ${Object.keys(files)}`);
  return found;
}

// --- Cloudinary ---

const failure = (status, message, headers = {}) => ({ status, headers, body: { error: { message } } });

/** What is wrong with a request, before anything is done about it. */
function fault(fields) {
  const { signature, api_key: key, ...signed } = fields;
  if (key !== KEY) return failure(401, 'Unknown API key');
  if (signature !== cloudinary.utils.api_sign_request(signed, SECRET, ALGORITHM)) {
    return failure(401, `Invalid Signature ${signature}. String to sign - '${JSON.stringify(signed)}'.`);
  }
  if (Math.abs(Date.now() / 1000 - Number(fields.timestamp)) > HOUR) return failure(400, 'Stale request');
  return null;
}

const actions = {
  upload({ fields, files }) {
    if (!files.file) return failure(400, 'Missing required parameter - file');
    const format = { '\x89P': 'png', '\xff\xd8': 'jpg', RI: 'webp', GI: 'gif' }[files.file.bytes.toString('latin1', 0, 2)];
    if (!format) return failure(400, 'Invalid image file');
    const id = `${fields.folder}/${fields.public_id}`;
    if (pictures.has(id)) return failure(400, 'There is one of this name');
    pictures.set(id, files.file.bytes);
    const url = `https://res.cloudinary.com/${CLOUD}/image/upload/v${fields.timestamp}/${id}.${format}`;
    return { status: 200, headers: {}, body: { public_id: id, format, bytes: files.file.bytes.length, secure_url: url } };
  },
  destroy({ fields }) {
    return { status: 200, headers: {}, body: { result: pictures.delete(fields.public_id) ? 'ok' : 'not found' } };
  },
};

const refusals = {
  unauthorized: () => failure(401, `Unknown API key ${KEY}`),
  limited: () => failure(429, 'Rate Limit Exceeded', { 'retry-after': '1' }),
  broken: () => failure(500, 'An error has occurred'),
};

/** The mode that is on now; one that has a number of times is used up by that. */
function next() {
  const current = mode.mode;
  if (mode.times !== undefined && --mode.times <= 0) mode = { mode: 'ok' };
  return current;
}

async function call(action, request, response) {
  // A request that is cut off was never made.
  const form = parse(request.headers, await buffer(request));
  const { file } = form.files;
  const entry = {
    action, mode: next(), fields: form.fields, status: null, differences: [],
    file: file && { name: file.name, type: file.type, size: file.bytes.length },
  };
  const wrong = fault(form.fields);
  if (!wrong) entry.differences = await differences(request.url, action, form).catch((error) => [String(error)]);
  log.push(entry);

  if (entry.mode === 'hangup') return request.socket.destroy();
  if (entry.mode === 'garbage') {
    entry.status = 200;
    return response.writeHead(200, { 'content-type': 'application/json' }).end('{"secure_url": \u0000<html>');
  }
  const answer = wrong ?? refusals[entry.mode]?.() ?? actions[action](form);
  if (entry.mode === 'accept-then-hangup') return request.socket.destroy();
  if (entry.mode === 'slow') await new Promise((resolve) => setTimeout(resolve, SLOW));
  // Nobody may be there any more.
  if (response.destroyed) return;
  entry.status = answer.status;
  response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers }).end(JSON.stringify(answer.body));
}

// --- The stand-in ---

const json = (response, value) => response.setHeader('content-type', 'application/json').end(JSON.stringify(value));

const routes = {
  [`POST /v1_1/${CLOUD}/image/upload`]: (...of) => call('upload', ...of),
  [`POST /v1_1/${CLOUD}/image/destroy`]: (...of) => call('destroy', ...of),
  'GET /__log': (request, response) => json(response, log),
  'GET /__pictures': (request, response) => json(response, [...pictures.keys()]),
  'POST /__mode': async (request, response) => {
    mode = JSON.parse(await text(request));
    json(response, mode);
  },
};

const server = createServer((request, response) => {
  const route = routes[`${request.method} ${request.url}`];
  if (!route) {
    log.push({ strange: `${request.method} ${request.url}`, differences: ['not a route of uploads'] });
    response.writeHead(404).end(JSON.stringify(failure(404, 'Not found').body));
    return;
  }
  Promise.resolve(route(request, response)).catch((error) => {
    log.push({ strange: String(error), differences: [String(error)] });
    response.destroy();
  });
});

process.stdin.resume().on('end', () => process.exit());
await new Promise((resolve) => capture.listen(0, '127.0.0.1', resolve));
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
console.log(`listening on http://127.0.0.1:${server.address().port}`);

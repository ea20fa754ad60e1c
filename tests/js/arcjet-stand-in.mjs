// Arcjet's Decide API, from the service definition in Arcjet's own npm package, for tests.
//
//   node arcjet-stand-in.mjs [key]   prints `listening on http://127.0.0.1:PORT`; ends when its stdin is closed
//
//   POST /__mode     {"mode", "times"?}: how it behaves, from now on or that many times
//     ok               decides as it was told, and lets everybody in unless it was told otherwise
//     slow             answers after 30 s
//     hangup           hangs up
//     garbage          200 with something that is not JSON
//     unauthorized     401, as Connect says it
//     limited          429 with Retry-After: 7
//     broken           500
//     undecided        an answer that says that there was an error
//     refused          400
//   POST /__decide   what to decide: {"conclusion": "ALLOW" | "DENY" | "CHALLENGE", "reason"?, "ttl"?, "email"?}; with an
//                    `email` only for sign-ups with it
//   GET  /__log      the list of questions and reports: `kind`, `message` (as JSON by the definition), `mode`, `raw`
//   POST /__forget   empties the list
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { dirname, join } from 'node:path';
import { create, toJson } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { categories } from '@arcjet/protocol/well-known-bots';

// The package does not export its definition by name; its client is made of it.
const client = createRequire(import.meta.url).resolve('@arcjet/protocol/client');
const {
  Conclusion, DecideRequestSchema, DecideResponseSchema, DecideService, ReportRequestSchema, ReportResponseSchema,
} = await import(pathToFileURL(join(dirname(client), 'proto/decide/v1alpha1/decide_pb.js')));

const KEY = process.argv[2] ?? 'ajkey_stand_in';
const SLOW = 30_000;

let log = [];
let mode = { mode: 'ok' };
let decision = { conclusion: 'ALLOW' };
let count = 0;

const reasons = {
  rateLimit: { case: 'rateLimit', value: { max: 5, count: 6, remaining: 0, resetInSeconds: 17, windowInSeconds: 60 } },
  bot: { case: 'botV2', value: { allowed: [], denied: ['CURL'], verified: false, spoofed: false } },
  shield: { case: 'shield', value: { shieldTriggered: true } },
  email: { case: 'email', value: { emailTypes: [1] } },
};

function authorize(context) {
  if (context.requestHeader.get('authorization') !== `Bearer ${KEY}`) {
    throw new ConnectError('invalid key', Code.Unauthenticated);
  }
}

const bots = new Set([...Object.keys(categories), ...Object.values(categories).flat()]);

/** As the official client does before it asks. */
function checkBots(rules) {
  const names = rules.filter(({ rule }) => rule.case === 'botV2').flatMap(({ rule }) => [...rule.value.allow, ...rule.value.deny]);
  const unknown = names.find((name) => !bots.has(name));
  if (unknown) throw new ConnectError(`unknown bot ${unknown}`, Code.InvalidArgument);
}

async function decide(request, context) {
  authorize(context);
  checkBots(request.rules);
  const { conclusion, reason, ttl, email } = decision;
  const applies = email === undefined || request.details?.email === email;
  const answer = applies ? conclusion : 'ALLOW';
  return create(DecideResponseSchema, {
    decision: {
      id: `req_${++count}`,
      conclusion: Conclusion[mode.undecided ? 'ERROR' : answer],
      reason: answer === 'ALLOW' ? undefined : { reason: reasons[reason] },
      ttl: answer === 'ALLOW' ? 0 : ttl ?? 0,
    },
  });
}

async function report(_, context) {
  authorize(context);
  return create(ReportResponseSchema, {});
}

/** By the definition, and strictly: what it does not know is refused. */
const kept = (kind, schema) => (next) => async (request) => {
  log.push({ kind, message: toJson(schema, request.message), headers: Object.fromEntries(request.header) });
  return next(request);
};

const handler = connectNodeAdapter({
  routes: (router) => router.service(DecideService, { decide, report }),
  jsonOptions: { ignoreUnknownFields: false },
  interceptors: [(next) => async (request) => {
    const isDecide = request.method.name === 'Decide';
    return kept(isDecide ? 'decide' : 'report', isDecide ? DecideRequestSchema : ReportRequestSchema)(next)(request);
  }],
});

/** The mode that is on now; one that has a number of times is used up by that. */
function next() {
  const current = mode.mode;
  if (mode.times !== undefined && --mode.times <= 0) mode = { mode: 'ok' };
  return current;
}

const error = (response, status, code, headers = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify({ code, message: code }));

const faults = {
  slow: (request, response) => setTimeout(() => handler(request, response), SLOW),
  hangup: (request) => request.socket.destroy(),
  garbage: (request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"decision": <html>'),
  unauthorized: (request, response) => error(response, 401, 'unauthenticated'),
  limited: (request, response) => error(response, 429, 'resource_exhausted', { 'retry-after': '7' }),
  broken: (request, response) => error(response, 500, 'internal'),
  refused: (request, response) => error(response, 400, 'invalid_argument'),
};

const json = (response, value) => response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
const routes = {
  'GET /__log': (request, response) => json(response, log),
  'POST /__forget': (request, response) => json(response, (log = [])),
  'POST /__mode': async (request, response) => {
    mode = JSON.parse(await text(request));
    if (mode.mode === 'undecided') mode = { mode: 'ok', undecided: true };
    json(response, mode);
  },
  'POST /__decide': async (request, response) => json(response, (decision = JSON.parse(await text(request)))),
};

const server = createServer((request, response) => {
  const route = routes[`${request.method} ${request.url}`];
  if (route) return route(request, response);
  const now = next();
  if (faults[now]) {
    log.push({ kind: 'fault', mode: now, path: request.url });
    return faults[now](request, response);
  }
  return handler(request, response);
});

process.stdin.resume().on('end', () => process.exit());
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
console.log(`listening on http://127.0.0.1:${server.address().port}`);

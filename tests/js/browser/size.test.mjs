// Small, and there after one round trip.
import { test } from 'node:test';
import { Stage, assert, until } from './stage.mjs';

const stage = new Stage();

/** A tab that remembers what it asked for: `{ url, type, initiator, body, status }`. */
async function watched(person) {
  const context = await stage.context(person);
  const page = await context.newPage();
  const asked = [];
  page.on('request', (request) => asked.push(request));
  page.on('websocket', (socket) => asked.push({ url: () => socket.url(), resourceType: () => 'websocket' }));
  return { context, page, asked };
}

test('all of it is under 100 KiB, from here, and named in the page', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  await bob.say(ann, 'hello');
  const { page, asked } = await watched(ann);
  await page.goto(stage.server.url);
  await page.getByRole('navigation', { name: 'Chats' }).waitFor();
  const html = await (await fetch(stage.server.url)).text();
  let bytes = Buffer.byteLength(html);
  const files = new Set(asked.map((request) => request.url()).filter((url) => new URL(url).pathname.startsWith('/web/')));
  assert.ok(files.size > 3, 'the page consists of files');
  for (const url of files) {
    const response = await fetch(url);
    assert.equal(response.status, 200, url);
    bytes += (await response.arrayBuffer()).byteLength;
    // What a file needs stands in the page, so nothing is found out about only when another file is there.
    assert.ok(html.includes(new URL(url).pathname.slice(1)), `${url} is not named in the page`);
  }
  console.log(`the client: ${bytes} bytes in ${files.size + 1} files`);
  assert.ok(bytes < 100 * 1024, `${bytes} bytes`);
  for (const request of asked) {
    assert.equal(new URL(request.url()).host, new URL(stage.server.url).host, `something of somebody else's: ${request.url()}`);
    if (request.resourceType() === 'script') assert.equal(request.failure?.(), null);
  }
  const known = await fetch(stage.server.url);
  const again = await fetch(stage.server.url, { headers: { 'if-none-match': known.headers.get('etag') } });
  assert.equal(again.status, 304);
});

test('a page that was here before asks for all at once', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  await bob.say(ann, 'hello');
  const { page, asked } = await watched(ann);
  await page.goto(stage.server.url);
  await page.getByRole('link', { name: bob.name }).or(page.getByRole('button', { name: bob.name })).first().click();
  await page.getByRole('article').waitFor();
  // From here on nothing is answered.
  const held = [];
  await page.route('**/api/**', (route) => { held.push(route); });
  asked.length = 0;
  await page.reload();
  const wanted = ['/api/auth/me', '/api/messages/chats', '/ws'];
  await until(() => `${wanted} at once, it asked for ${asked.map((request) => new URL(request.url()).pathname)}`, () => {
    const paths = asked.map((request) => new URL(request.url()).pathname);
    return wanted.every((path) => paths.includes(path));
  });
  for (const route of held.splice(0)) await route.continue();
  await page.unrouteAll();
});

test('with nobody signed in it asks for little', async () => {
  const { page, asked } = await watched();
  await page.goto(stage.server.url);
  await page.getByRole('heading', { name: 'Log in' }).waitFor();
  const api = asked.map((request) => new URL(request.url()).pathname).filter((path) => !path.startsWith('/web/'));
  assert.ok(api.length <= 3, String(api));
});

test('a page that is left alone asks for nothing', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  await bob.say(ann, 'hello');
  const context = await stage.context(ann);
  await context.clock.install();
  // What it asks on its socket, and what was answered: its clock must not run away from the server.
  let open = 0;
  let heard = 0;
  context.on('page', (page) => page.on('websocket', (socket) => {
    socket.on('framesent', ({ payload }) => { open += JSON.parse(payload).id ? 1 : 0; });
    socket.on('framereceived', ({ payload }) => { open -= JSON.parse(payload).reply ? 1 : 0; heard += 1; });
  }));
  const tab = await stage.tab(context);
  await tab.converse(bob);
  await tab.reads('hello');
  await tab.titled('Chat');
  await until('the first word', () => heard);
  await tab.page.waitForLoadState('networkidle');
  const asked = [];
  tab.page.on('request', (request) => asked.push(request.url()));
  await tab.page.evaluate(() => { setTimeout(() => { globalThis.isLater = true; }, 60_000); });
  // Minutes go by, as far as the page knows.
  for (let seconds = 0; seconds < 120; seconds += 5) {
    await context.clock.runFor(5000);
    await until('answers', () => open === 0);
  }
  assert.ok(await tab.page.evaluate(() => globalThis.isLater), 'its clock did not move');
  await tab.reads('hello');
  assert.deepEqual(asked, []);
});

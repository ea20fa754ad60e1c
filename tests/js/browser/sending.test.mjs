// Sending: at once before one's own eyes, once and in order for everybody.
import { test } from 'node:test';
import { Stage, assert, until } from './stage.mjs';

const stage = new Stage();
const numbered = (count) => Array.from({ length: count }, (_, i) => `message number ${i}.`);

test('what is sent is there at once, before there is an answer', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  stage.server.network.swallowAnswers();
  await anns.say('quick');
  const [, quick] = await anns.reads('hello', 'quick');
  assert.equal(quick.state, 'pending');
  assert.ok(quick.clientId);
  await anns.chat(bob).filter({ hasText: 'quick' }).waitFor();
  assert.equal(await anns.message.inputValue(), '');
  await ann.texts(bob, 2);
  stage.server.network.mend();
  await bobs.reads('hello', 'quick');
  await anns.tick('quick', 'Read').waitFor();
  const [, sent] = await anns.reads('hello', 'quick');
  assert.equal(sent.clientId, quick.clientId);
  assert.equal(sent.seq, 2);
  assert.deepEqual((await bob.conversation(ann)).map(({ clientId }) => clientId), [null, quick.clientId]);
});

test('it stays the same element when the answer comes, and the focus stays', async () => {
  const { anns } = await stage.two();
  stage.server.network.swallowAnswers();
  await anns.say('stay');
  const before = await anns.article('stay').elementHandle();
  stage.server.network.mend();
  await anns.tick('stay', /Sent|Delivered|Read/).waitFor();
  assert.ok(await before.evaluate((node) => node.isConnected && node.dataset.seq === '2'));
  assert.ok(await anns.message.evaluate((node) => node === document.activeElement));
});

test('many in a row keep their order', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  const texts = numbered(25);
  for (const text of texts) await anns.say(text);
  await bobs.reads('hello', ...texts);
  const shown = await anns.reads('hello', ...texts);
  assert.deepEqual(shown.map(({ seq }) => seq), shown.map((_, i) => i + 1));
  assert.deepEqual(await ann.texts(bob, 26), ['hello', ...texts]);
});

test('both at once: the same order for both', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  const write = async (tab, name) => { for (let i = 0; i < 12; i += 1) await tab.say(`${name} says ${i}.`); };
  await Promise.all([write(anns, 'ann'), write(bobs, 'bob')]);
  const texts = await ann.texts(bob, 25);
  for (const tab of [anns, bobs]) await tab.reads(...texts);
});

test('an answer that got lost: it is sent again, and is there once', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  for (const text of ['answered to nobody', 'and once more']) {
    stage.server.network.swallowAnswers();
    await anns.say(text);
    await until('it arrived', async () => (await ann.conversation(bob)).some((message) => message.text === text));
    // A browser tries once more by itself, on a connection that it had: that fails as well.
    const failed = anns.page.waitForEvent('requestfailed', (request) => request.url().includes('/send/'));
    stage.server.network.cut();
    await failed;
    stage.server.network.mend();
    await anns.tick(text, 'Read').waitFor();
  }
  for (const tab of [anns, bobs]) await tab.reads('hello', 'answered to nobody', 'and once more');
  assert.equal((await ann.conversation(bob)).length, 3);
});

test('Shift+Enter begins a new line, and blanks alone are no message', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  await anns.message.pressSequentially('one');
  await anns.message.press('Shift+Enter');
  await anns.message.pressSequentially('two');
  await anns.message.press('Enter');
  const article = bobs.article('one');
  await article.waitFor();
  assert.equal(await article.locator('p').innerText(), 'one\ntwo');
  await anns.say('   \n ');
  await anns.button('Send').click();
  await anns.say('after');
  await bobs.reads('hello', 'one', 'after');
  assert.equal((await ann.conversation(bob)).length, 3);
});

test('Enter that ends a composition of letters does not send', async () => {
  const { anns, bobs } = await stage.two();
  await anns.message.fill('にほん');
  await anns.message.evaluate((node) => {
    node.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true }));
  });
  assert.equal(await anns.message.inputValue(), 'にほん');
  await anns.message.press('Enter');
  await bobs.reads('hello', 'にほん');
});

test('the button sends as well, and long texts fit', async () => {
  const { anns, bobs } = await stage.two();
  const long = 'W'.repeat(3000);
  await anns.message.fill(long);
  await anns.button('Send').click();
  await bobs.article(long).waitFor();
  const { wide, box } = await bobs.log.evaluate((log) => ({ wide: log.scrollWidth > log.clientWidth, box: document.documentElement.scrollWidth > innerWidth }));
  assert.ok(!wide && !box, 'it runs out of the window');
  // More than the server takes: either it can't be typed, or it says so.
  await anns.message.evaluate((node) => { node.maxLength = 100_000; });
  await anns.message.fill('x'.repeat(10_001));
  await anns.message.press('Enter');
  await anns.tick(/x{1000}/, 'Not sent').waitFor();
});

test('what is refused says so, and can be tried again or thrown away', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  let isRefusing = true;
  await anns.page.route('**/api/messages/send/**', (route) => (isRefusing
    ? route.fulfill({ status: 403, contentType: 'application/json', body: '{"success":false,"data":{"code":"forbidden"},"message":"Not now."}' })
    : route.continue()));
  await anns.page.routeWebSocket(/\/ws/, (socket) => socket.connectToServer());
  for (const text of ['to be tried again', 'to be thrown away']) {
    await anns.say(text);
    await anns.tick(text, 'Not sent').waitFor();
  }
  assert.deepEqual((await anns.shown()).map(({ state }) => state), [undefined, 'failed', 'failed'].map((state, i) => (i ? state : (state ?? 'read'))));
  await anns.page.reload();
  await anns.reads('hello', 'to be tried again', 'to be thrown away');
  await anns.tick('to be tried again', 'Not sent').waitFor();
  isRefusing = false;
  await anns.button('Discard', anns.article('to be thrown away')).click();
  await anns.reads('hello', 'to be tried again');
  await anns.button('Try again', anns.article('to be tried again')).click();
  await bobs.reads('hello', 'to be tried again');
  await anns.tick('to be tried again', 'Read').waitFor();
  assert.equal((await ann.conversation(bob)).length, 2);
});

test('asked to wait, it waits and sends it once', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  let refusals = 0;
  await anns.page.route('**/api/messages/send/**', (route) => {
    refusals += 1;
    return refusals > 2 ? route.continue() : route.fulfill({
      status: refusals === 1 ? 429 : 503, headers: { 'retry-after': '1' }, contentType: 'application/json',
      body: '{"success":false,"data":{"code":"rate_limited"},"message":"Too fast."}',
    });
  });
  await anns.say('patience');
  await anns.say('is a virtue');
  await bobs.reads('hello', 'patience', 'is a virtue');
  await anns.tick('is a virtue', 'Read').waitFor();
  assert.equal((await ann.conversation(bob)).length, 3);
});

test('a first message to somebody makes a chat', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  const anns = await stage.open(ann);
  await anns.contact(bob).click();
  await anns.say('hello, stranger');
  await anns.chat(bob).filter({ hasText: 'hello, stranger' }).waitFor();
  await anns.contact(bob).waitFor({ state: 'hidden' });
  assert.deepEqual(await bob.texts(ann, 1), ['hello, stranger']);
});

// Without a network, and without a server: what is typed waits, what was missed comes, each once and in order.
import { test } from 'node:test';
import { Stage, assert, until } from './stage.mjs';

const stage = new Stage();
const OFFLINE = 'Offline. Messages will be sent when the connection is back.';
const banner = (tab) => tab.page.getByRole('status').filter({ hasText: OFFLINE });

/** No network, as the browser sees it and as it is. */
async function goAway(tab) {
  await tab.page.context().setOffline(true);
  stage.server.network.cut();
}

async function comeBack(tab) {
  stage.server.network.mend();
  await tab.page.context().setOffline(false);
}

test('what is typed without a network goes out once, in order', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  await bobs.page.context().close();
  await goAway(anns);
  await banner(anns).waitFor();
  const texts = Array.from({ length: 8 }, (_, i) => `typed in the tunnel ${i}.`);
  for (const text of texts) await anns.say(text);
  const shown = await anns.reads('hello', ...texts);
  assert.deepEqual(shown.slice(1).map(({ state }) => state), texts.map(() => 'pending'));
  await comeBack(anns);
  await banner(anns).waitFor({ state: 'hidden' });
  for (const text of texts) await anns.tick(text, 'Sent').waitFor();
  assert.deepEqual(await bob.texts(ann, 9), ['hello', ...texts]);
  const after = await anns.reads('hello', ...texts);
  assert.deepEqual(after.map(({ seq }) => seq), after.map((_, i) => i + 1));
});

test('what others did meanwhile is there when one is back', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  const messages = [];
  for (const text of ['to be edited', 'to be deleted', 'to be liked', 'to be hidden']) messages.push(await ann.say(bob, text));
  for (const tab of [anns, bobs]) await tab.reads('hello', 'to be edited', 'to be deleted', 'to be liked', 'to be hidden');
  await goAway(anns);
  await banner(anns).waitFor();
  const [edited, deleted, liked, hidden] = messages;
  await ann.edit(edited, 'was edited');
  await ann.delete(deleted);
  await bob.react(liked, '🎉');
  await ann.do('DELETE', `/api/messages/${hidden._id}?for=me`);
  await bob.say(ann, 'and something new');
  await bob.do('POST', `/api/messages/${ann.id}/read`, {});
  await comeBack(anns);
  await anns.reads('hello', 'was edited', 'This message was deleted', 'to be liked', 'and something new');
  await anns.article('to be liked').getByRole('button', { name: /^🎉 1/ }).waitFor();
  await anns.tick('to be liked', 'Read').waitFor();
  await banner(anns).waitFor({ state: 'hidden' });
  // Bob, who was cut off without his browser knowing, has come back as well.
  await bobs.reads('hello', 'was edited', 'This message was deleted', 'to be liked', 'to be hidden', 'and something new');
});

test('connections that break are opened again, and nobody notices more than that', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  const texts = [];
  for (let i = 0; i < 6; i += 1) {
    stage.server.network.cut();
    stage.server.network.mend();
    texts.push(`ann ${i}.`, `bob ${i}.`);
    await anns.say(`ann ${i}.`);
    await bobs.article(`ann ${i}.`).waitFor();
    await bobs.say(`bob ${i}.`);
    await anns.article(`bob ${i}.`).waitFor();
  }
  for (const tab of [anns, bobs]) await tab.reads('hello', ...texts);
  assert.deepEqual(await ann.texts(bob, 13), ['hello', ...texts]);
});

for (const [how, signal] of [['killed', 'SIGKILL'], ['told to end', 'SIGTERM']]) {
  test(`a server that is ${how} in the middle of it, and comes back`, async () => {
    const { ann, bob, anns, bobs } = await stage.two();
    await anns.say('before');
    await bobs.tick('before', 'Read').or(bobs.article('before')).first().waitFor();
    await anns.tick('before', 'Read').waitFor();
    await stage.server.kill(signal);
    await anns.say('into the void 1');
    await bobs.say('into the void 2');
    for (const tab of [anns, bobs]) await banner(tab).waitFor();
    await anns.say('into the void 3');
    await stage.server.launch();
    await anns.tick('into the void 3', 'Read').waitFor();
    await bobs.tick('into the void 2', 'Read').waitFor();
    const texts = await ann.texts(bob, 5);
    assert.deepEqual([...texts].sort(), ['before', 'hello', 'into the void 1', 'into the void 2', 'into the void 3']);
    assert.ok(texts.indexOf('into the void 1') < texts.indexOf('into the void 3'));
    for (const tab of [anns, bobs]) {
      await tab.reads(...texts);
      await banner(tab).waitFor({ state: 'hidden' });
    }
    await bobs.say('and on it goes');
    await anns.article('and on it goes').waitFor();
  });
}

test('what waits survives a reload, and even the end of the tab', async () => {
  const { ann, bob, anns } = await stage.two();
  await stage.server.kill();
  await anns.say('kept over the reload');
  await anns.say('as well');
  await anns.reads('hello', 'kept over the reload', 'as well');
  const context = anns.page.context();
  await anns.page.close();
  await stage.server.launch();
  const later = await stage.tab(context);
  await later.nav.waitFor();
  assert.deepEqual(await bob.texts(ann, 3), ['hello', 'kept over the reload', 'as well']);
  await later.converse(bob);
  await later.reads('hello', 'kept over the reload', 'as well');
});

test('what waits survives the end of the sign-in', async () => {
  const { ann, bob, anns } = await stage.two();
  const other = await ann.logIn();
  await goAway(anns);
  await banner(anns).waitFor();
  await anns.say('typed before it ended');
  await anns.message.fill('half a thought');
  await other.do('DELETE', '/api/auth/sessions');
  await comeBack(anns);
  await anns.page.getByRole('heading', { name: 'Log in' }).waitFor();
  await anns.field('Password').fill(ann.form.password);
  if (!await anns.field('E-mail').inputValue()) await anns.field('E-mail').fill(ann.form.email);
  await anns.button('Log in').click();
  assert.deepEqual(await bob.texts(ann, 2), ['hello', 'typed before it ended']);
  await anns.nav.waitFor();
  if (!await anns.message.isVisible()) await anns.converse(bob);
  await anns.reads('hello', 'typed before it ended');
  assert.equal(await anns.message.inputValue(), 'half a thought');
});

test('what comes while the socket is still on its way is not missed', async () => {
  const [ann, bob, eve] = await stage.people('Ann', 'Bob', 'Eve');
  await bob.say(ann, 'before');
  await eve.say(ann, 'me too');
  const context = await stage.context(ann);
  const held = [];
  await context.routeWebSocket(/\/ws/, (socket) => { held.push(socket); });
  const anns = await stage.tab(context);
  await anns.converse(bob);
  await anns.reads('before');
  await anns.chat(eve).filter({ hasText: '1 unread' }).waitFor();
  const missed = await bob.say(ann, 'in between');
  await bob.edit(missed, 'in between, edited');
  await eve.say(ann, 'and again');
  held[0].connectToServer();
  await anns.reads('before', 'in between, edited');
  await anns.chat(eve).filter({ hasText: '2 unread' }).filter({ hasText: 'and again' }).waitFor();
  await until('it to be read', async () => (await bob.do('GET', '/api/messages/chats')).find(({ _id }) => _id === ann.id).readSeq === 2);
  // And then live.
  await bob.say(ann, 'live');
  await anns.reads('before', 'in between, edited', 'live');
});

test('what comes while all is loaded anew stays', async () => {
  const { ann, bob, anns } = await stage.two();
  await bob.say(ann, 'before');
  await anns.reads('hello', 'before');
  // Somebody who comes back after too long: the answer is from before what comes next.
  const held = [];
  await anns.page.route(/\/api\/messages\/[0-9a-f]{24}\?limit=50$/, async (route) => {
    const response = await route.fetch();
    held.push(() => route.fulfill({ response }));
  });
  stage.server.network.rewrite = (text) => text.replace(/since=([\w-]+)/, (_, cursor) => `since=${'A'.repeat(cursor.length)}`);
  await goAway(anns);
  await comeBack(anns);
  await until('the answer to be on its way', () => held.length);
  await bob.say(ann, 'meanwhile');
  await anns.article('meanwhile').waitFor();
  held.splice(0).forEach((go) => go());
  await bob.say(ann, 'after');
  await anns.reads('hello', 'before', 'meanwhile', 'after');
});

test('a page that loads while the server is away for a moment comes up by itself', async () => {
  const { bob, anns } = await stage.two();
  let isAway = true;
  await anns.page.route('**/api/**', (route) => (isAway ? route.abort() : route.continue()));
  const away = anns.page.waitForEvent('requestfailed');
  await anns.page.reload();
  await away;
  isAway = false;
  await anns.chat(bob).waitFor();
  await anns.reads('hello');
});

test('a network that swallows all and says nothing is found out', async () => {
  const { ann, bob, anns } = await stage.two();
  stage.server.network.swallowAnswers();
  await anns.say('into the silence');
  await bob.say(ann, 'out of it');
  // The page ends what does not answer by itself; only then is it mended, for new connections and not for the old ones.
  await banner(anns).or(anns.page.getByText('Connecting…')).first().waitFor();
  stage.server.network.cut();
  stage.server.network.mend();
  await anns.article('out of it').waitFor();
  await anns.tick('into the silence', /Sent|Delivered|Read/).waitFor();
  assert.equal((await anns.shown()).length, 3);
});

test('away for too long, it loads all anew', async () => {
  const { ann, bob, anns } = await stage.two();
  const [eve] = await stage.people('Eve');
  await eve.say(ann, 'seen before');
  await anns.chat(eve).waitFor();
  await goAway(anns);
  await banner(anns).waitFor();
  await bob.say(ann, 'meanwhile');
  await eve.say(ann, 'here as well');
  const [old] = await bob.conversation(ann);
  await ann.delete(old);
  // Its cursor is one that the server does not know any more.
  let isTold = false;
  stage.server.network.rewrite = (text) => text.replace(/since=([\w-]+)/, (_, cursor) => {
    isTold = true;
    return `since=${'A'.repeat(cursor.length)}`;
  });
  await comeBack(anns);
  await anns.reads('This message was deleted', 'meanwhile');
  await anns.chat(eve).filter({ hasText: 'here as well' }).waitFor();
  assert.ok(isTold, 'it came back without a cursor');
});

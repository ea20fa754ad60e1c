// Several tabs, windows and devices of one person agree.
import { test } from 'node:test';
import { Stage, assert, until } from './stage.mjs';

const stage = new Stage();

/** Ann in two tabs of one window, both in the conversation with Bob. */
async function twoTabs() {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  await bob.say(ann, 'hello');
  const context = await stage.context(ann);
  const [one, two] = [await stage.tab(context), await stage.tab(context)];
  for (const tab of [one, two]) await tab.converse(bob);
  for (const tab of [one, two]) await tab.reads('hello');
  return { ann, bob, context, one, two };
}

test('what one tab sends, edits and deletes is in the other', async () => {
  const { ann, bob, one, two } = await twoTabs();
  await one.say('from one');
  await two.reads('hello', 'from one');
  await two.say('from two');
  await one.reads('hello', 'from one', 'from two');
  await two.message.press('ArrowUp');
  await two.say('from number two');
  await one.article('from number two').waitFor();
  await one.choose('from one', 'Delete for me');
  await one.confirm('Delete for me');
  for (const tab of [one, two]) await tab.reads('hello', 'from number two');
  assert.equal((await bob.conversation(ann)).length, 3);
});

test('read in one tab, it is read in the other', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  await bob.say(ann, 'hello');
  const context = await stage.context(ann);
  const [one, two] = [await stage.tab(context), await stage.tab(context)];
  for (const tab of [one, two]) await tab.titled('(1) Chat');
  await one.converse(bob);
  for (const tab of [one, two]) await tab.titled('Chat');
  const phone = await stage.open(await ann.logIn());
  await phone.titled('Chat');
});

test('what waits in two tabs is sent once', async () => {
  const { ann, bob, one, two } = await twoTabs();
  await stage.server.kill();
  for (let i = 0; i < 3; i += 1) {
    await one.say(`one ${i}.`);
    await two.say(`two ${i}.`);
  }
  await one.article('one 2.').waitFor();
  await two.article('two 2.').waitFor();
  await stage.server.launch();
  const texts = await bob.texts(ann, 7);
  for (const tab of [one, two]) {
    await tab.reads(...texts);
    await until('nothing waits', async () => (await tab.shown()).every(({ state }) => state !== 'pending'));
  }
  assert.equal(new Set(texts).size, 7);
  assert.equal((await bob.conversation(ann)).length, 7);
  for (const name of ['one', 'two']) {
    const own = texts.filter((text) => text.startsWith(name));
    assert.deepEqual(own, [0, 1, 2].map((i) => `${name} ${i}.`));
  }
});

test('what waits in a tab that is closed is sent by the other', async () => {
  const { ann, bob, one, two } = await twoTabs();
  stage.server.network.cut();
  await one.say('left behind');
  await one.reads('hello', 'left behind');
  await two.reads('hello', 'left behind');
  await one.page.close();
  stage.server.network.mend();
  assert.deepEqual(await bob.texts(ann, 2), ['hello', 'left behind']);
  await two.tick('left behind', 'Sent').waitFor();
});

test('a log-out is one for all tabs, and a log-in as well', async () => {
  const { ann, one, two } = await twoTabs();
  await one.button('Log out').click();
  for (const tab of [one, two]) await tab.page.getByRole('heading', { name: 'Log in' }).waitFor();
  assert.equal((await ann.ask('GET', '/api/auth/me')).status, 401);
  await two.field('E-mail').fill(ann.form.email);
  await two.field('Password').fill(ann.form.password);
  await two.button('Log in').click();
  for (const tab of [one, two]) await tab.nav.waitFor();
});

test('a profile that changes, changes in all tabs', async () => {
  const { one, two } = await twoTabs();
  for (const tab of [one, two]) await tab.button('Profile').waitFor();
  await one.button('Profile').click();
  const dialog = one.dialog('Profile');
  await one.field('Full name', dialog).fill('Zoe Newname');
  await one.button('Save', dialog).click();
  await dialog.getByText(/saved/i).waitFor();
  await two.button('Profile').click();
  assert.equal(await two.field('Full name', two.dialog('Profile')).inputValue(), 'Zoe Newname');
});

test('a sign-in that is ended elsewhere ends here', async () => {
  const [ann] = await stage.people('Ann');
  const anns = await stage.open(ann);
  const other = await ann.logIn();
  await other.do('DELETE', '/api/auth/sessions');
  await anns.page.getByRole('heading', { name: 'Log in' }).waitFor();
});

test('one computer, two people, one after the other: nothing is left', async () => {
  const { ann, bob, one, two } = await twoTabs();
  const [eve] = await stage.people('Eve');
  await eve.say(ann, 'for Ann only');
  await two.page.close();
  await one.message.fill('a draft of Ann’s');
  await one.button('Log out').click();
  await one.field('E-mail').fill(eve.form.email);
  await one.field('Password').fill(eve.form.password);
  await one.button('Log in').click();
  await one.nav.waitFor();
  await one.chat(ann).filter({ hasText: 'for Ann only' }).waitFor();
  await one.titled('Chat');
  assert.equal(await one.chat(bob).count(), 0);
  await one.converse(bob);
  assert.equal(await one.message.inputValue(), '');
  await until('an empty conversation', async () => (await one.shown()).length === 0);
});

test('a sign-in that ends is over in all tabs, and nothing is done under the next one’s name', async () => {
  const [ann, bob, eve] = await stage.people('Ann', 'Bob', 'Eve');
  await bob.say(ann, 'hello');
  const context = await stage.context(ann);
  // The first tab does not hear the end: as one that sleeps.
  let isDeaf = false;
  let sockets = 0;
  await context.routeWebSocket(/\/ws/, (socket) => {
    const isFirst = (sockets += 1) === 1;
    const server = socket.connectToServer();
    server.onMessage((message) => { if (!isFirst || !isDeaf) socket.send(message); });
    server.onClose((code, reason) => { if (!isFirst || !isDeaf) socket.close({ code, reason }); });
  });
  const one = await stage.tab(context);
  await one.converse(bob);
  const two = await stage.tab(context);
  await two.chat(bob).waitFor();
  isDeaf = true;
  const other = await ann.logIn();
  await other.do('DELETE', '/api/auth/sessions');
  for (const tab of [two, one]) await tab.page.getByRole('heading', { name: 'Log in' }).waitFor();
  isDeaf = false;
  await two.field('E-mail').fill(eve.form.email);
  await two.field('Password').fill(eve.form.password);
  await two.button('Log in').click();
  for (const tab of [one, two]) {
    await tab.nav.waitFor();
    await tab.contact(ann).waitFor();
    assert.equal(await tab.chat(bob).count(), 0);
  }
});

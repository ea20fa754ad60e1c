// What two people do with each other in a conversation.
import { test } from 'node:test';
import { Person } from './people.mjs';
import { Stage, assert, until } from './stage.mjs';

const stage = new Stage();

test('two people find each other and talk', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  const [anns, bobs] = await Promise.all([stage.open(ann), stage.open(bob)]);
  await anns.search.fill(bob.name);
  await anns.contact(bob).click();
  await anns.main.getByRole('heading', { name: bob.name }).waitFor();
  await anns.say('Good morning');
  await anns.tick('Good morning', 'Delivered').waitFor();

  // Bob looks at his lists.
  await bobs.chat(ann).filter({ hasText: 'Good morning' }).filter({ hasText: '1 unread' }).waitFor();
  assert.match(await bobs.chat(ann).innerText(), /\d\d:\d\d/);
  await bobs.titled('(1) Chat');
  await bobs.converse(ann);
  await bobs.reads('Good morning');
  await bobs.titled('Chat');
  await anns.tick('Good morning', 'Read').waitFor();
  await until('no badge', async () => !(await bobs.chat(ann).innerText()).includes('unread'));

  await bobs.say('And to you');
  await bobs.tick('And to you', 'Read').waitFor();
  for (const tab of [anns, bobs]) await tab.reads('Good morning', 'And to you');
  await anns.page.reload();
  await anns.reads('Good morning', 'And to you');
  assert.deepEqual((await anns.shown()).map(({ seq, state }) => [seq, state]), [[1, 'read'], [2, undefined]]);
});

test('ticks say how far a message has got', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  await bob.say(ann, 'a beginning');
  const anns = await stage.open(ann);
  await anns.converse(bob);
  stage.server.network.swallowAnswers();
  await anns.say('on its way');
  await anns.tick('on its way', 'Waiting').waitFor();
  assert.equal((await anns.shown()).at(-1).state, 'pending');
  stage.server.network.mend();
  await anns.tick('on its way', 'Sent').waitFor();
  assert.equal((await anns.shown()).at(-1).state, 'sent');
  const bobs = await stage.open(bob);
  await anns.tick('on its way', 'Delivered').waitFor();
  assert.equal((await anns.shown()).at(-1).state, 'delivered');
  await bobs.converse(ann);
  await anns.tick('on its way', 'Read').waitFor();
  assert.equal((await anns.shown()).at(-1).state, 'read');
});

test('nothing counts as read that nobody sees', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  // The conversation is open, in a tab behind another one.
  const other = await bobs.page.context().newPage();
  await other.bringToFront();
  await bobs.page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'hidden' });
    document.hasFocus = () => false;
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await anns.say('are you there?');
  await anns.tick('are you there?', 'Delivered').waitFor();
  await bobs.titled('(1) Chat');
  await bobs.log.getByRole('separator', { name: 'New messages' }).waitFor();
  const at = async () => (await ann.do('GET', '/api/messages/chats')).find(({ _id }) => _id === bob.id).readSeq;
  assert.equal(await at(), 1);
  await bobs.page.evaluate(() => {
    delete document.visibilityState;
    delete document.hasFocus;
    document.dispatchEvent(new Event('visibilitychange'));
    window.dispatchEvent(new Event('focus'));
  });
  await bobs.page.bringToFront();
  await anns.tick('are you there?', 'Read').waitFor();
  await bobs.titled('Chat');
});

test('nothing counts as read that is further down', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  for (let i = 0; i < 40; i += 1) await ann.say(bob, `line ${i}\nand\nmore`);
  await bobs.article('line 39').waitFor();
  await anns.tick('line 39', 'Read').waitFor();
  await bobs.log.hover();
  await bobs.page.mouse.wheel(0, -2000);
  const jump = bobs.button('Jump to the newest');
  await jump.waitFor();
  await anns.say('further down');
  await bobs.titled('(1) Chat');
  await anns.tick('further down', 'Delivered').waitFor();
  await jump.click();
  await anns.tick('further down', 'Read').waitFor();
  await bobs.titled('Chat');
  await jump.waitFor({ state: 'hidden' });
});

test('an answer says that one has read', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  for (let i = 0; i < 30; i += 1) await ann.say(bob, `line ${i}\nand\nmore`);
  await anns.tick('line 29', 'Read').waitFor();
  await bobs.log.hover();
  await bobs.page.mouse.wheel(0, -2000);
  await bobs.button('Jump to the newest').waitFor();
  await anns.say('a question further down');
  await bobs.titled('(1) Chat');
  await bobs.say('and its answer');
  await anns.article('and its answer').waitFor();
  await anns.tick('a question further down', 'Read').waitFor();
  await bobs.titled('Chat');
});

test('one sees who types, who is here, and when somebody was last seen', async () => {
  const { ann, anns, bobs } = await stage.two();
  await bobs.main.getByText('online', { exact: true }).waitFor();
  await bobs.chat(ann).filter({ hasText: 'online' }).waitFor();
  await anns.message.pressSequentially('I am thin');
  await bobs.main.getByText('is typing').waitFor();
  await anns.message.fill('');
  await bobs.main.getByText('is typing').waitFor({ state: 'hidden' });
  await anns.message.pressSequentially('I am thinking');
  await bobs.main.getByText('is typing').waitFor();
  await anns.message.press('Enter');
  await bobs.article('I am thinking').waitFor();
  await bobs.main.getByText('is typing').waitFor({ state: 'hidden' });
  await anns.page.context().close();
  await bobs.main.getByText(/last seen/).waitFor();
  await until('no dot', async () => !(await bobs.chat(ann).innerText()).includes('online'));
});

test('an answer says to what, and leads there', async () => {
  const { anns, bobs } = await stage.two();
  await anns.say('Tea or coffee?');
  await bobs.article('Tea or coffee?').waitFor();
  await bobs.choose('Tea or coffee?', 'Reply');
  await bobs.page.getByRole('blockquote').filter({ hasText: 'Tea or coffee?' }).last().waitFor();
  await bobs.message.press('Escape');
  await bobs.button('Cancel').waitFor({ state: 'hidden' });
  await bobs.choose('Tea or coffee?', 'Reply');
  await bobs.button('Cancel').click();
  await bobs.button('Cancel').waitFor({ state: 'hidden' });
  await bobs.choose('Tea or coffee?', 'Reply');
  await bobs.say('Both');
  for (const tab of [anns, bobs]) {
    const answer = tab.article('Both');
    await answer.getByRole('blockquote').filter({ hasText: 'Tea or coffee?' }).waitFor();
  }
  await bobs.button('Cancel').waitFor({ state: 'hidden' });
  // What it answers is edited, and then deleted.
  await anns.choose(/^(?!.*Both).*Tea or coffee/, 'Edit');
  await anns.say('Tea or milk?');
  await bobs.article('Both').getByRole('blockquote').filter({ hasText: 'Tea or milk?' }).waitFor();
});

test('the keyboard leads to what is answered, too', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  const question = await bob.say(ann, 'where to?');
  await ann.say(bob, 'home', { replyTo: question._id });
  const anns = await stage.open(ann);
  await anns.converse(bob);
  await anns.article('home').focus();
  await anns.page.keyboard.press('Enter');
  const item = anns.page.getByRole('menuitem', { name: 'Show what it answers' });
  await item.focus();
  await anns.page.keyboard.press('Enter');
  await until('it to have the focus', () => anns.log.locator(`article[data-id="${question._id}"]`).evaluate((node) => node === document.activeElement));
});

test('an edit reaches both, by the menu and by the arrow key', async () => {
  const { anns, bobs } = await stage.two();
  await anns.say('We meet at sevn');
  await bobs.article('sevn').waitFor();
  await anns.choose('sevn', 'Edit');
  await anns.page.getByRole('status').filter({ hasText: 'Editing' }).waitFor();
  assert.equal(await anns.message.inputValue(), 'We meet at sevn');
  await anns.say('We meet at seven');
  for (const tab of [anns, bobs]) await tab.article('We meet at seven').filter({ hasText: 'edited' }).waitFor();
  await anns.page.getByText('Editing').waitFor({ state: 'hidden' });
  assert.equal(await anns.message.inputValue(), '');

  await anns.message.press('ArrowUp');
  await until('the text to be edited', async () => await anns.message.inputValue() === 'We meet at seven');
  await anns.message.press('Escape');
  await until('an empty field', async () => await anns.message.inputValue() === '');
  await anns.message.press('ArrowUp');
  await anns.say('We meet at eight');
  for (const tab of [anns, bobs]) {
    await tab.article('We meet at eight').waitFor();
    await tab.reads('hello', 'We meet at eight');
  }
  // What was begun meanwhile is there again after an edit.
  await anns.message.fill('a draft');
  await anns.choose('We meet at eight', 'Edit');
  await anns.message.press('Escape');
  await until('the draft', async () => await anns.message.inputValue() === 'a draft');
});

test('deleted for everyone, it is gone for both', async () => {
  const { bob, anns, bobs } = await stage.two();
  await anns.say('a secret');
  await bobs.article('a secret').waitFor();
  await anns.choose('a secret', 'Delete for everyone');
  await anns.dialog('Delete for everyone').getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await anns.article('a secret').count(), 1);
  await anns.choose('a secret', 'Delete for everyone');
  await anns.confirm('Delete for everyone');
  for (const tab of [anns, bobs]) {
    await tab.article('This message was deleted').waitFor();
    await tab.reads('hello', 'This message was deleted');
    assert.ok(!(await tab.page.content()).includes('a secret'));
  }
  await anns.chat(bob).filter({ hasText: 'This message was deleted' }).waitFor();
});

test('deleted for me, it is gone for me, on all my devices', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  const phone = await stage.open(await bob.logIn());
  await phone.converse(ann);
  await anns.say('not for him');
  await phone.article('not for him').waitFor();
  await bobs.choose('not for him', 'Delete for me');
  await bobs.confirm('Delete for me');
  await bobs.reads('hello');
  await phone.reads('hello');
  await anns.reads('hello', 'not for him');
  await bobs.chat(ann).filter({ hasText: 'hello' }).waitFor();
  await bobs.page.reload();
  await bobs.reads('hello');
});

test('a reaction is not lost on a page that was asked for before it', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  const message = await ann.say(bob, 'look at this');
  const anns = await stage.open(ann);
  await anns.chat(bob).waitFor();
  let held;
  await anns.page.route(`**/api/messages/${bob.id}?**`, async (route) => {
    const response = await route.fetch();
    held = () => route.fulfill({ response });
  });
  const heard = anns.page.waitForEvent('websocket').then((socket) => socket.waitForEvent('framereceived', ({ payload }) => payload.includes('"reactions"') && payload.includes('🎉')));
  await anns.page.reload();
  await anns.chat(bob).click();
  await until('the page to be asked for', () => held);
  await bob.react(message, '🎉');
  await heard;
  await held();
  await anns.article('look at this').getByRole('button', { name: '🎉 1' }).waitFor();
});

test('reactions count, and can be taken back', async () => {
  const { anns, bobs } = await stage.two();
  await anns.say('We won!');
  await bobs.react('We won!', '👍');
  for (const [tab, pressed] of [[bobs, 'true'], [anns, 'false']]) {
    const button = tab.article('We won!').getByRole('button', { name: /^👍 1/ });
    await button.waitFor();
    assert.equal(await button.getAttribute('aria-pressed'), pressed);
  }
  await anns.article('We won!').getByRole('button', { name: /^👍 1/ }).click();
  for (const tab of [anns, bobs]) await tab.article('We won!').getByRole('button', { name: /^👍 2/, pressed: true }).waitFor();
  await bobs.article('We won!').getByRole('button', { name: /^👍 2/ }).click();
  await anns.article('We won!').getByRole('button', { name: /^👍 1/, pressed: true }).waitFor();
  await anns.article('We won!').getByRole('button', { name: /^👍 1/ }).click();
  for (const tab of [anns, bobs]) await tab.article('We won!').getByRole('button', { name: /👍/ }).waitFor({ state: 'hidden' });
});

test('emoji are put where the cursor is', async () => {
  const { anns, bobs } = await stage.two();
  await anns.message.fill('sunshine');
  await anns.message.press('Home');
  for (let i = 0; i < 3; i += 1) await anns.message.press('ArrowRight');
  await anns.button('Emoji').click();
  const choice = anns.dialog('Emoji').getByRole('button').nth(5);
  const emoji = await choice.innerText();
  await choice.click();
  await anns.page.keyboard.press('Escape');
  await anns.dialog('Emoji').waitFor({ state: 'hidden' });
  assert.equal(await anns.message.inputValue(), `sun${emoji}shine`);
  await anns.message.press('Enter');
  await bobs.article(`sun${emoji}shine`).waitFor();
});

test('what can be done is up to whose it is', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  await bobs.say('mine is yours');
  const items = async (tab, text) => {
    await tab.article(text).hover();
    await tab.button('Message actions', tab.article(text)).click();
    const menu = tab.page.getByRole('menu', { name: 'Message actions' });
    await menu.waitFor();
    const names = await menu.getByRole('menuitem').allInnerTexts();
    await tab.page.keyboard.press('Escape');
    await menu.waitFor({ state: 'hidden' });
    return names;
  };
  assert.deepEqual(await items(bobs, 'mine is yours'), ['Reply', 'React', 'Edit', 'Copy', 'Delete for me', 'Delete for everyone']);
  assert.deepEqual(await items(anns, 'mine is yours'), ['Reply', 'React', 'Copy', 'Delete for me']);
  await anns.page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: stage.server.url });
  await anns.choose('mine is yours', 'Copy');
  await until('the copy', async () => await anns.page.evaluate(() => navigator.clipboard.readText()) === 'mine is yours');
  assert.equal((await ann.conversation(bob)).length, 2);
});

test('days are told apart, and what is new is marked', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  await ann.say(bob, 'of yesterday');
  await bob.say(ann, 'of yesterday as well');
  const context = await stage.context(bob);
  await context.clock.setFixedTime(Date.now() + 24 * 3600 * 1000);
  const bobs = await stage.tab(context);
  await bobs.converse(ann);
  await bobs.log.getByRole('separator', { name: 'Yesterday' }).waitFor();
  assert.equal(await bobs.log.getByRole('separator', { name: 'Today' }).count(), 0);
  await context.clock.setFixedTime(Date.now() + 3 * 24 * 3600 * 1000);
  await bobs.page.reload();
  await bobs.reads('of yesterday', 'of yesterday as well');
  const name = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'long' }).format(new Date());
  await bobs.log.getByRole('separator', { name }).or(bobs.log.getByRole('separator', { name: /\d/ })).first().waitFor();

  const anns = await stage.open(ann);
  assert.match(await anns.chat(bob).innerText(), /1\s+unread/);
  await bob.say(ann, 'and more');
  await anns.chat(bob).filter({ hasText: '2 unread' }).waitFor();
  await anns.converse(bob);
  await anns.log.getByRole('separator', { name: 'Today' }).waitFor();
  const order = await anns.log.locator('[role=separator], article').evaluateAll((all) => all.map((node) => node.getAttribute('role') ? node.getAttribute('aria-label') : node.querySelector('p').textContent));
  assert.deepEqual(order, ['Today', 'of yesterday', 'New messages', 'of yesterday as well', 'and more']);
});

test('after a reload, what is new is marked, also where the messages are there before the chats', async () => {
  const { ann, bob, anns } = await stage.two();
  await anns.page.goto('about:blank');
  await bob.say(ann, 'meanwhile');
  const held = [];
  let isOpen = false;
  await anns.page.route('**/api/messages/chats?**', (route) => (isOpen ? route.continue() : held.push(route)));
  await anns.page.goto(`${stage.server.url}/#chat=${bob.id}`);
  await until('the chats to be asked for', () => held.length);
  await anns.reads('hello', 'meanwhile');
  isOpen = true;
  await Promise.all(held.map((route) => route.continue()));
  await anns.log.getByRole('separator', { name: 'New messages' }).waitFor();
  await anns.titled('Chat');
  await anns.reads('hello', 'meanwhile');
});

test('a page that stays open knows when another day begins', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  await ann.say(bob, 'before midnight');
  const context = await stage.context(bob);
  await context.clock.install();
  const bobs = await stage.tab(context);
  await bobs.converse(ann);
  await bobs.log.getByRole('separator', { name: 'Today' }).waitFor();
  // A day goes by in one leap, as on a computer that slept.
  await context.clock.fastForward(24 * 3600 * 1000);
  await context.clock.runFor(60_000);
  await bobs.log.getByRole('separator', { name: 'Yesterday' }).waitFor();
  assert.equal(await bobs.log.getByRole('separator', { name: 'Today' }).count(), 0);
});

test('blocked, somebody can\'t write any more', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  await bobs.button('Conversation actions').click();
  await bobs.page.getByRole('menuitem', { name: 'Block', exact: true }).click();
  await bobs.confirm('Block');
  await bobs.message.waitFor({ state: 'hidden' });
  await anns.say('hello?');
  await until('an answer', async () => ['failed', 'sent'].includes((await anns.shown()).at(-1).state));
  assert.deepEqual((await bob.conversation(ann)).map(({ text }) => text), ['hello']);
  await bobs.button('Profile').click();
  const blocked = bobs.dialog('Profile').getByRole('list', { name: 'Blocked' });
  await blocked.getByText(ann.name).waitFor();
  await blocked.getByRole('button', { name: 'Unblock' }).click();
  await blocked.getByText(ann.name).waitFor({ state: 'hidden' });
  await bobs.button('Close').click();
  await bobs.message.waitFor();
  await anns.say('once more');
  await bobs.article('once more').waitFor();
});

test('the profile shows a block that is on its way', async () => {
  const { ann, bobs } = await stage.two();
  let held;
  await bobs.page.route('**/api/auth/blocks/*', (route) => { held = route; });
  await bobs.button('Conversation actions').click();
  await bobs.page.getByRole('menuitem', { name: 'Block', exact: true }).click();
  await bobs.confirm('Block');
  await until('it to be asked for', () => held);
  await bobs.button('Profile').click();
  const blocked = bobs.dialog('Profile').getByRole('list', { name: 'Blocked' });
  await blocked.waitFor({ state: 'attached' });
  assert.equal(await blocked.getByText(ann.name).count(), 0);
  await held.continue();
  await blocked.getByText(ann.name).waitFor();
});

test('people are found by name and by e-mail, and nobody is nobody', async () => {
  const { ann, bob, anns } = await stage.two();
  const [eve] = await stage.people('Eve');
  await anns.page.reload();
  await anns.search.fill(eve.form.email);
  await anns.contact(eve).waitFor();
  await anns.chat(bob).waitFor({ state: 'hidden' });
  await anns.search.fill(bob.name.toUpperCase());
  await anns.chat(bob).waitFor();
  await anns.contact(eve).waitFor({ state: 'hidden' });
  // The page has not heard of her: the server has.
  const [zoe] = await stage.people('Zoe');
  await anns.search.fill(zoe.name.toLowerCase());
  await anns.contact(zoe).waitFor();
  await anns.search.fill('nobody has such a name');
  await anns.page.getByText('Nobody found').waitFor();
  await anns.search.fill('');
  await anns.chat(bob).waitFor();
  assert.equal(await anns.contact(ann).count(), 0);
});

test('who was not there yet appears when they write', async () => {
  const [ann] = await stage.people('Ann');
  const anns = await stage.open(ann);
  const [bob] = await stage.people('Bob');
  await bob.say(ann, 'I am new here');
  await anns.chat(bob).filter({ hasText: 'I am new here' }).filter({ hasText: '1 unread' }).waitFor();
  await anns.titled('(1) Chat');
});

test('a line of the list can be pressed while it changes', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  await bob.say(ann, 'one');
  const anns = await stage.open(ann);
  const { x, y, width, height } = await anns.chat(bob).boundingBox();
  // On the name, and on the last message.
  for (const [at, text] of [[0.3, 'two'], [0.7, 'three']]) {
    await anns.page.mouse.move(x + width / 3, y + height * at);
    await anns.page.mouse.down();
    await bob.say(ann, text);
    await anns.chat(bob).filter({ hasText: text }).waitFor();
    await anns.page.mouse.up();
    await anns.article(text).waitFor();
    await anns.page.keyboard.press('Escape');
    await anns.main.getByText('Choose a chat').waitFor();
  }
});

test('the latest chat stands first', async () => {
  const [ann, bob, eve] = await stage.people('Ann', 'Bob', 'Eve');
  await bob.say(ann, 'first');
  await eve.say(ann, 'second');
  const anns = await stage.open(ann);
  const list = anns.nav.getByRole('list', { name: 'Chats' });
  const order = (...people) => until(`${people.map(({ name }) => name)}`, async () => {
    const lines = await list.getByRole('listitem').allInnerTexts();
    return lines.length === people.length && people.every(({ name }, i) => lines[i].includes(name));
  });
  await order(eve, bob);
  await bob.say(ann, 'third');
  await order(bob, eve);
});

test('notifications come when asked for, and not for what one sees', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  await bob.say(ann, 'hello');
  const context = await stage.context(ann);
  await context.addInitScript(() => {
    globalThis.told = [];
    let permission = 'default';
    globalThis.Notification = class {
      static get permission() { return permission; }
      static async requestPermission() { permission = 'granted'; return permission; }
      constructor(title, options) { globalThis.told.push({ title, ...options }); }
      close() {}
    };
  });
  const anns = await stage.tab(context);
  await anns.chat(bob).waitFor();
  await bob.say(ann, 'nobody asked');
  await anns.chat(bob).filter({ hasText: 'nobody asked' }).waitFor();
  await anns.button('Turn on notifications').click();
  await anns.button('Turn on notifications').waitFor({ state: 'hidden' });
  await bob.say(ann, 'for your information');
  const told = () => anns.page.evaluate(() => globalThis.told.map(({ title, body }) => [title, body]));
  await until('a notification', async () => (await told()).length);
  assert.deepEqual(await told(), [[bob.name, 'for your information']]);
  await anns.converse(bob);
  await bob.say(ann, 'you see this');
  await anns.article('you see this').waitFor();
  assert.equal((await told()).length, 1);
});

test('who has a picture that is not there any more has initials', async () => {
  const [ann] = await stage.people('Ann');
  const eve = await Person.signUp(stage.server, 'Eve Ember', { isUnique: false });
  const pixel = 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
  const { profilePic } = await eve.do('PUT', '/api/auth/profile', { profilePic: pixel });
  assert.ok(profilePic);
  await eve.say(ann, 'hello');
  const context = await stage.context(ann);
  await context.route(new URL(profilePic, stage.server.url).href, (route) => route.fulfill({ status: 404 }));
  const anns = await stage.tab(context);
  await anns.chat(eve).locator('.avatar[data-initials=EE]').waitFor();
  assert.equal(await anns.chat(eve).locator('img').count(), 0);
});

test('a draft stays with its conversation', async () => {
  const { ann, bob, anns } = await stage.two();
  const [eve] = await stage.people('Eve');
  await eve.say(ann, 'me too');
  // Where the list moves, one does not press.
  await anns.chat(eve).filter({ hasText: 'me too' }).waitFor();
  await anns.message.fill('for Bob, later');
  await anns.converse(eve);
  assert.equal(await anns.message.inputValue(), '');
  await anns.converse(bob);
  assert.equal(await anns.message.inputValue(), 'for Bob, later');
  await anns.page.reload();
  await until('the draft', async () => await anns.message.inputValue() === 'for Bob, later');
});

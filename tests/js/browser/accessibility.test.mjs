// For those who see little or nothing, who have no mouse, whom movement makes sick, or who have a phone.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { file, stripes } from './pictures.mjs';
import { Stage, assert, until } from './stage.mjs';

const stage = new Stage();
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds wrong with what is shown now. */
async function violations(tab, view) {
  await tab.page.evaluate(AXE);
  const found = await tab.page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  assert.ok(found.passes.length > 5, `axe looked at nothing in ${view}`);
  return found.violations.flatMap(({ id, help, nodes }) => nodes.map(({ html, failureSummary, any }) => `${view}: ${id} (${help}): ${html.slice(0, 200)} ${id === 'color-contrast' ? any[0]?.message : failureSummary.slice(0, 300)}`));
}

const LOOKS = {
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  'a phone': { colorScheme: 'light', viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
};

for (const [look, options] of Object.entries(LOOKS)) {
  test(`axe finds nothing wrong, ${look}`, async () => {
    const [ann, bob, eve] = await stage.people('Ann', 'Bob', 'Eve');
    const picture = `data:image/png;base64,${stripes().toString('base64')}`;
    const first = await bob.say(ann, 'See https://example.org, please');
    await ann.react(first, '👍');
    await bob.react(first, '🎉');
    await ann.say(bob, 'I see', { replyTo: first._id });
    await ann.edit(await ann.say(bob, 'edted'), 'edited by me');
    await ann.delete(await ann.say(bob, 'to be deleted'));
    await bob.say(ann, 'a picture', { image: picture });
    await ann.say(bob, '', { image: picture });
    await ann.say(bob, '🎉');
    await bob.say(ann, 'new');
    await eve.say(ann, 'you have mail');
    await ann.do('PUT', `/api/auth/blocks/${(await stage.people('Mallory'))[0].id}`);
    const found = [];
    const check = async (tab, view) => found.push(...await violations(tab, view));
    const context = await stage.context(undefined, { ...options, reducedMotion: 'reduce' });

    for (const page of ['/reset-password#token=x', '/verify-email#token=x']) {
      const tab = await stage.tab(context, page);
      await tab.page.getByRole('heading').first().waitFor();
      await check(tab, page);
      await tab.page.close();
    }
    const tab = await stage.tab(context);
    await tab.page.getByRole('heading', { name: 'Log in' }).waitFor();
    await check(tab, 'log in');
    await tab.button('Log in').click();
    await until('an error', async () => await tab.field('E-mail').getAttribute('aria-invalid') === 'true');
    await check(tab, 'log in, with errors');
    await tab.button('Create an account').click();
    await tab.button('Sign up').click();
    await until('an error', async () => await tab.field('E-mail').getAttribute('aria-invalid') === 'true');
    await check(tab, 'sign up, with errors');
    await tab.button('I have an account').click();
    await tab.button('Forgot password?').click();
    await check(tab, 'forgot');
    await tab.button('I have an account').click();
    await tab.field('E-mail').fill(ann.form.email);
    await tab.field('Password').fill(ann.form.password);
    await tab.button('Log in').click();
    await tab.chat(eve).waitFor();
    await check(tab, 'the lists');
    await tab.search.fill('nobody has such a name');
    await tab.page.getByText('Nobody found').waitFor();
    await check(tab, 'nobody found');
    await tab.search.fill('');

    await tab.button('Profile').click();
    const profile = tab.dialog('Profile');
    await profile.getByRole('list', { name: 'Blocked' }).getByRole('listitem').first().waitFor();
    await profile.getByRole('list', { name: 'Sign-ins' }).getByRole('listitem').first().waitFor();
    await check(tab, 'the profile');
    await profile.getByLabel('Choose a picture').setInputFiles(file(stripes()));
    await profile.getByRole('img', { name: 'Preview' }).waitFor();
    await check(tab, 'the picture of the profile');
    await tab.button('Close', profile).click();

    await tab.converse(bob);
    await tab.article('you').or(tab.article('new')).first().waitFor();
    await check(tab, 'a conversation');
    const act = async (item) => {
      await tab.article('I see').scrollIntoViewIfNeeded();
      await tab.choose('I see', item);
    };
    await tab.article('I see').hover();
    await tab.button('Message actions', tab.article('I see')).click();
    await check(tab, 'the actions');
    await tab.page.keyboard.press('Escape');
    await act('React');
    await tab.dialog('React').waitFor();
    await check(tab, 'reactions');
    await tab.page.keyboard.press('Escape');
    await tab.dialog('React').waitFor({ state: 'hidden' });
    await act('Delete for everyone');
    await tab.dialog('Delete for everyone').waitFor();
    await check(tab, 'a question');
    await tab.page.keyboard.press('Escape');
    await act('Edit');
    await tab.page.getByText('Editing').waitFor();
    await check(tab, 'editing');
    await tab.message.press('Escape');
    await act('Reply');
    await tab.page.getByLabel('Attach a picture').setInputFiles(file(stripes()));
    await tab.page.getByRole('img', { name: 'Picture to send' }).waitFor();
    await check(tab, 'an answer with a picture');
    await tab.button('Remove the picture').click();
    await tab.button('Cancel').click();
    await tab.button('Emoji').click();
    await tab.dialog('Emoji').waitFor();
    await check(tab, 'emoji');
    await tab.page.keyboard.press('Escape');
    await tab.button('Conversation actions').click();
    await check(tab, 'the actions of the conversation');
    await tab.page.keyboard.press('Escape');
    await tab.article('a picture').locator('img').first().click();
    await tab.page.getByRole('dialog').locator('img').waitFor();
    await check(tab, 'a picture in large');
    await tab.page.keyboard.press('Escape');
    await tab.page.getByRole('dialog').waitFor({ state: 'hidden' });
    await tab.log.hover();
    stage.server.network.cut();
    await tab.message.fill('waiting');
    await tab.button('Send').click();
    await tab.page.getByRole('status').filter({ hasText: 'Offline' }).waitFor();
    await check(tab, 'offline');
    stage.server.network.mend();
    await tab.tick('waiting', /Sent|Delivered|Read/).waitFor();
    assert.deepEqual(found, []);
  });
}

/** What has the focus: its role or tag, and its name. */
const focused = (tab) => tab.page.evaluate(() => {
  const node = document.activeElement;
  const label = node.labels?.[0]?.textContent ?? node.getAttribute('aria-label') ?? node.textContent;
  return `${node.getAttribute('role') ?? node.localName} ${label}`.slice(0, 60);
});

/** Presses Tab until something like this has the focus. */
async function tabTo(tab, name, key = 'Tab') {
  const seen = [];
  for (let i = 0; i < 40; i += 1) {
    const now = await focused(tab);
    if (name.test(now)) return;
    seen.push(now);
    await tab.page.keyboard.press(key);
  }
  assert.fail(`${key} does not lead to ${name}: ${seen.join(' | ')}`);
}

test('without a mouse: from the sign-up to an answer with a reaction', async () => {
  const [bob] = await stage.people('Bob');
  const tab = await stage.open();
  const { keyboard } = tab.page;
  await tab.page.getByRole('heading', { name: 'Log in' }).waitFor();
  await tabTo(tab, /Create an account/);
  await keyboard.press('Enter');
  await tab.page.getByRole('heading', { name: 'Sign up' }).waitFor();
  await tabTo(tab, /Full name/);
  await keyboard.type('Keyboard Person');
  await tabTo(tab, /E-mail/);
  await keyboard.type(`keyboard-${bob.id}@example.org`);
  await tabTo(tab, /Password/);
  await keyboard.type(bob.form.password);
  await keyboard.press('Enter');
  await tab.contact(bob).waitFor();
  await tabTo(tab, /Search people/);
  await keyboard.type(bob.name);
  await tab.contact(bob).waitFor();
  await keyboard.press('ArrowDown');
  await until('the person', async () => (await focused(tab)).includes(bob.name));
  await keyboard.press('Enter');
  await until('the field', async () => /Message/.test(await focused(tab)));
  await keyboard.type('typed only');
  await keyboard.press('Enter');
  await tab.article('typed only').filter({ has: tab.page.getByLabel(/Sent|Delivered/) }).waitFor();
  // Back to the messages, and into the last one.
  await tabTo(tab, /^(log|article) /, 'Shift+Tab');
  for (let i = 0; i < 5 && !/^article/.test(await focused(tab)); i += 1) await keyboard.press('ArrowUp');
  assert.match(await focused(tab), /^article/);
  await keyboard.press('Enter');
  const menu = tab.page.getByRole('menu', { name: 'Message actions' });
  await menu.waitFor();
  assert.match(await focused(tab), /menuitem Reply/);
  await keyboard.press('ArrowDown');
  assert.match(await focused(tab), /menuitem React/);
  await keyboard.press('Enter');
  await tab.dialog('React').waitFor();
  await until('an emoji', async () => /^button/.test(await focused(tab)));
  await keyboard.press('Enter');
  await tab.article('typed only').getByRole('button', { pressed: true }).waitFor();
  assert.doesNotMatch(await focused(tab), /^body/);
  await tabTo(tab, /^(log|article) /, 'Shift+Tab');
  for (let i = 0; i < 5 && !/^article/.test(await focused(tab)); i += 1) await keyboard.press('ArrowUp');
  await keyboard.press('Enter');
  await menu.waitFor();
  await keyboard.press('Enter');
  await until('the field', async () => /Message/.test(await focused(tab)));
  await keyboard.type('an answer');
  await keyboard.press('Enter');
  await tab.article('an answer').getByRole('blockquote').waitFor();
  // A menu that is closed gives the focus back.
  await tabTo(tab, /^(log|article) /, 'Shift+Tab');
  for (let i = 0; i < 5 && !/^article/.test(await focused(tab)); i += 1) await keyboard.press('ArrowUp');
  await keyboard.press('Enter');
  await menu.waitFor();
  await keyboard.press('Escape');
  await menu.waitFor({ state: 'hidden' });
  await until('the focus to be back', async () => /^(article|button Message actions)/.test(await focused(tab)));
  await tabTo(tab, /Log out/, 'Shift+Tab');
  await keyboard.press('Enter');
  await tab.page.getByRole('heading', { name: 'Log in' }).waitFor();
});

test('nothing takes the focus away from where one writes', async () => {
  const { anns, bobs } = await stage.two();
  await bobs.message.focus();
  await bobs.page.keyboard.type('half a sen');
  await anns.say('meanwhile');
  await bobs.article('meanwhile').waitFor();
  stage.server.network.cut();
  await bobs.page.getByRole('status').filter({ hasText: 'Offline' }).waitFor();
  stage.server.network.mend();
  await anns.say('and again');
  await bobs.article('and again').waitFor();
  await bobs.page.keyboard.type('tence');
  assert.equal(await bobs.message.inputValue(), 'half a sentence');
});

test('a dialog keeps the focus in it, and gives it back', async () => {
  const { anns } = await stage.two();
  await anns.button('Profile').focus();
  await anns.page.keyboard.press('Enter');
  const dialog = anns.dialog('Profile');
  await dialog.waitFor();
  for (let i = 0; i < 25; i += 1) {
    await anns.page.keyboard.press('Tab');
    assert.ok(await anns.page.evaluate(() => document.activeElement === document.body || Boolean(document.activeElement.closest('dialog'))), 'the focus left the dialog');
  }
  await anns.page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  await until('the focus to be back', async () => /Profile/.test(await focused(anns)));
});

test('who wants less movement gets none', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  for (let i = 0; i < 30; i += 1) await ann.say(bob, `line ${i}`);
  const moves = async (reducedMotion) => {
    const tab = await stage.open(ann, { reducedMotion });
    // Whatever begins to move is written down.
    await tab.page.evaluate(() => {
      globalThis.moved = [];
      for (const name of ['animationstart', 'transitionrun']) {
        document.addEventListener(name, (event) => globalThis.moved.push(`${name} ${event.animationName ?? event.propertyName} of ${event.target.className}`), true);
      }
    });
    await tab.converse(bob);
    await tab.article('line 29').waitFor();
    await tab.choose('line 29', 'React');
    await tab.dialog('React').waitFor();
    await tab.page.keyboard.press('Escape');
    await tab.say(`and more: ${reducedMotion}`);
    await tab.tick(`and more: ${reducedMotion}`, /Sent|Delivered/).waitFor();
    await tab.button('Profile').click();
    await tab.dialog('Profile').waitFor();
    await tab.page.keyboard.press('Escape');
    await tab.page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); }));
    return tab.page.evaluate(() => globalThis.moved);
  };
  assert.deepEqual(await moves('reduce'), []);
  assert.ok((await moves('no-preference')).length > 0, 'this test sees no movement at all');
});

test('on a phone there is one thing at a time', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  const first = await bob.say(ann, 'on the phone');
  await bob.say(ann, `https://example.org/${'long/'.repeat(60)}`);
  const tab = await stage.open(ann, LOOKS['a phone']);
  const fits = () => tab.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && document.documentElement.scrollHeight <= innerHeight);
  assert.ok(await fits());
  await tab.chat(bob).tap();
  await tab.article('on the phone').waitFor();
  assert.ok(await fits());
  assert.equal(await tab.nav.isVisible(), false);
  await tab.message.fill('tapped');
  await tab.button('Send').tap();
  await tab.article('tapped').waitFor();
  await tab.button('Message actions', tab.article('on the phone')).tap();
  await tab.page.getByRole('menuitem', { name: 'React' }).tap();
  await tab.dialog('React').getByRole('button', { name: '👍' }).first().tap();
  await tab.article('on the phone').getByRole('button', { name: /^👍 1/ }).waitFor();
  await tab.button('Back').tap();
  await tab.chat(bob).waitFor();
  assert.equal(await tab.log.isVisible(), false);
  // The way back of the browser does the same.
  await tab.chat(bob).tap();
  await tab.article('tapped').waitFor();
  await tab.page.goBack();
  await tab.chat(bob).waitFor();
  assert.ok(first._id);
});

test('large letters and narrow windows still show everything', async () => {
  const { anns } = await stage.two();
  await anns.page.setViewportSize({ width: 320, height: 256 });
  await anns.message.waitFor();
  const { wide, field } = await anns.page.evaluate(() => {
    const { right, bottom } = document.querySelector('textarea').getBoundingClientRect();
    return { wide: document.documentElement.scrollWidth > innerWidth, field: right <= innerWidth && bottom <= innerHeight };
  });
  assert.ok(!wide && field);
  await anns.say('in a small window');
  await anns.article('in a small window').waitFor();
});

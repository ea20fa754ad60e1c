// Signing up, in and out; who one is to others; a password that was forgotten.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { file, stripes } from './pictures.mjs';
import { PASSWORD_MARK } from './people.mjs';
import { Stage, assert, until } from './stage.mjs';

let mail;
/** Resend, played by a program beside this one. */
async function settings() {
  const child = spawn(process.execPath, ['resend-stand-in.mjs'], { cwd: new URL('..', import.meta.url), stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data');
  mail = { child, url: /listening on (\S+)/.exec(line)[1] };
  return { RESEND_API_KEY: 're_stand_in', MAIL_FROM: 'Chat <chat@example.org>', RESEND_BASE_URL: mail.url };
}
after(() => mail?.child.stdin.end());

const stage = new Stage(settings);
const heading = (tab, name) => tab.page.getByRole('heading', { name, exact: true }).waitFor();

/** What stands beside a field that is wrong. */
async function complaint(tab, label) {
  const field = tab.field(label);
  await until(`${label} to be wrong`, async () => await field.getAttribute('aria-invalid') === 'true');
  const id = await field.getAttribute('aria-errormessage') ?? await field.getAttribute('aria-describedby');
  return tab.page.locator(`[id="${id}"]`).innerText();
}

test('signing up, with errors at their fields', async () => {
  const [taken] = await stage.people('Taken');
  const tab = await stage.open();
  await heading(tab, 'Log in');
  await tab.button('Create an account').click();
  await heading(tab, 'Sign up');
  await tab.button('Sign up').click();
  for (const label of ['Full name', 'E-mail', 'Password']) assert.match(await complaint(tab, label), /\w/);
  assert.ok(await tab.field('Full name').evaluate((node) => node === document.activeElement), 'the focus is at the first field that is wrong');

  await tab.field('Full name').fill('Newcomer');
  await tab.field('E-mail').fill('no address');
  await tab.field('Password').fill('short');
  await tab.button('Sign up').click();
  await until('the name to be right', async () => await tab.field('Full name').getAttribute('aria-invalid') !== 'true');
  for (const label of ['E-mail', 'Password']) assert.match(await complaint(tab, label), /\w/);

  await tab.field('E-mail').fill(taken.form.email);
  await tab.field('Password').fill(`${PASSWORD_MARK}-newcomer`);
  await tab.button('Sign up').click();
  await until('a word on it', async () => (await tab.page.getByRole('main').innerText()).match(/already|taken|exists/i));

  await tab.field('E-mail').fill(`newcomer-${taken.id}@example.org`);
  await tab.button('Sign up').press('Enter');
  await tab.nav.waitFor();
  await tab.contact(taken).waitFor();
  await tab.page.reload();
  await tab.nav.waitFor();
});

test('logging in, with the wrong password first, and out', async () => {
  const [ann] = await stage.people('Ann');
  const tab = await stage.open();
  await tab.field('E-mail').fill(ann.form.email);
  await tab.field('Password').fill('not this one');
  await tab.field('Password').press('Enter');
  await until('a word on it', async () => (await tab.page.getByRole('alert').allInnerTexts()).some((text) => text.trim()));
  assert.equal(await tab.field('E-mail').inputValue(), ann.form.email);
  await tab.field('Password').fill(ann.form.password);
  await tab.field('Password').press('Enter');
  await tab.nav.waitFor();
  const { name, httpOnly } = (await tab.page.context().cookies()).find((cookie) => cookie.name === 'jwt');
  assert.deepEqual([name, httpOnly], ['jwt', true]);
  await tab.button('Log out').click();
  await heading(tab, 'Log in');
  await tab.page.goBack().catch(() => {});
  if (tab.page.url() === 'about:blank') await tab.page.goto(tab.url);
  await heading(tab, 'Log in');
  assert.ok(!(await tab.page.content()).includes(ann.name));
  assert.ok(!(await tab.page.context().cookies()).some((cookie) => cookie.name === 'jwt'));
});

test('a password that was forgotten', async () => {
  const [ann] = await stage.people('Ann');
  const tab = await stage.open();
  await tab.button('Forgot password?').or(tab.page.getByRole('link', { name: 'Forgot password?' })).click();
  await heading(tab, 'Forgot password');
  await tab.field('E-mail').fill(ann.form.email);
  await tab.button('Send the link').click();
  await until('a word on it', async () => (await tab.page.getByRole('status').allInnerTexts()).some((text) => text.trim()));
  const link = await until('the mail', async () => {
    const log = await (await fetch(`${mail.url}/__log`)).json();
    const own = log.filter((entry) => [entry.mail?.to].flat().includes(ann.form.email)).map((entry) => entry.mail.text);
    return own.map((text) => /http\S+reset-password\S+/.exec(text)?.[0]).find(Boolean);
  });
  const { pathname, hash } = new URL(link);
  await tab.page.goto(stage.server.url + pathname + hash);
  await tab.field('New password').fill(`${PASSWORD_MARK}-remembered`);
  await tab.button('Change the password').click();
  await until('a word on it', async () => (await tab.page.getByRole('status').innerText()).trim());
  await tab.page.goto(stage.server.url);
  await heading(tab, 'Log in');
  await tab.field('E-mail').fill(ann.form.email);
  await tab.field('Password').fill(`${PASSWORD_MARK}-remembered`);
  await tab.button('Log in').click();
  await tab.nav.waitFor();
});

test('the profile: another name, a picture that is cut, and none', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  await anns.button('Profile').click();
  const dialog = anns.dialog('Profile');
  await anns.field('Full name', dialog).fill('');
  await anns.button('Save', dialog).click();
  await until('a complaint', async () => await anns.field('Full name', dialog).getAttribute('aria-invalid') === 'true');
  await anns.field('Full name', dialog).fill('Ann of Green Gables');
  await dialog.getByLabel('Choose a picture').setInputFiles(file(stripes(300, 200)));
  const preview = dialog.getByRole('img', { name: 'Preview' });
  await preview.waitFor();
  const pixels = () => preview.evaluate((node) => (node.toDataURL ? node.toDataURL() : node.src + getComputedStyle(node).transform + getComputedStyle(node).objectPosition));
  const before = await pixels();
  await dialog.getByRole('slider', { name: 'Zoom' }).fill('2');
  await until('the preview to be nearer', async () => await pixels() !== before);
  const near = await pixels();
  await preview.press('ArrowLeft');
  await until('the preview to have moved', async () => await pixels() !== near);
  const left = await pixels();
  const { x, y, width, height } = await preview.boundingBox();
  await anns.page.mouse.move(x + width / 2, y + height / 2);
  await anns.page.mouse.down();
  await anns.page.mouse.move(x + width / 2 - 30, y + height / 2 - 10, { steps: 3 });
  await anns.page.mouse.up();
  await until('the preview to be dragged', async () => await pixels() !== left);
  await anns.button('Save', dialog).click();
  const { fullName, profilePic } = await until('the change', async () => {
    const me = await ann.do('GET', '/api/auth/me');
    return me.fullName === 'Ann of Green Gables' && me.profilePic && me;
  });
  assert.equal(fullName, 'Ann of Green Gables');
  // It is a square.
  const size = await anns.page.evaluate(async (src) => {
    const picture = new Image();
    picture.src = src;
    await picture.decode();
    return [picture.naturalWidth, picture.naturalHeight];
  }, new URL(profilePic, stage.server.url).pathname);
  assert.equal(size[0], size[1]);
  await bobs.page.reload();
  await bobs.chat('Ann of Green Gables').waitFor();
  const picture = bobs.chat('Ann of Green Gables').locator('img');
  await until('the picture', () => picture.evaluate((node) => node.complete && node.naturalWidth > 0));
  await anns.button('Remove the picture', dialog).click();
  await until('no picture', async () => (await ann.do('GET', '/api/auth/me')).profilePic === '');
  await anns.button('Close', dialog).click();
  await dialog.waitFor({ state: 'hidden' });
  assert.equal((await bob.conversation(ann)).length, 1);
});

test('what is no picture is refused with a word', async () => {
  const [ann] = await stage.people('Ann');
  const tab = await stage.open(ann);
  await tab.button('Profile').click();
  const dialog = tab.dialog('Profile');
  await dialog.getByLabel('Choose a picture').setInputFiles(file(Buffer.from('no picture'), 'fake.png'));
  await until('a word on it', async () => (await tab.page.getByRole('alert').allInnerTexts()).some((text) => text.trim()));
  assert.equal(await dialog.getByRole('img', { name: 'Preview' }).isVisible(), false);
});

test('another password ends the other sign-ins; one of them can be ended, too', async () => {
  const [ann] = await stage.people('Ann');
  const [here, there, phone] = [ann, await ann.logIn(), await ann.logIn()];
  const [tab, other, third] = [await stage.open(here), await stage.open(there), await stage.open(phone)];
  await tab.button('Profile').click();
  const dialog = tab.dialog('Profile');
  const list = dialog.getByRole('list', { name: 'Sign-ins' });
  await until('three sign-ins', async () => await list.getByRole('listitem').count() === 3);
  // The newest first: that is the third one.
  await list.getByRole('button', { name: 'End' }).first().click();
  await heading(third, 'Log in');
  await until('two sign-ins', async () => await list.getByRole('listitem').count() === 2);

  await tab.field('Current password', dialog).fill('not this one');
  await tab.field('New password', dialog).fill(`${PASSWORD_MARK}-another`);
  await tab.button('Change the password', dialog).click();
  await until('a complaint', async () => await tab.field('Current password', dialog).getAttribute('aria-invalid') === 'true'
    || (await dialog.getByRole('alert').allInnerTexts()).some((text) => text.trim()));
  await tab.nav.waitFor();
  await tab.field('Current password', dialog).fill(ann.form.password);
  await tab.field('New password', dialog).fill(`${PASSWORD_MARK}-another`);
  await tab.button('Change the password', dialog).click();
  await heading(other, 'Log in');
  await until('one sign-in', async () => await list.getByRole('listitem').count() === 1);
  await tab.page.reload();
  await tab.nav.waitFor();
});

test('what others may know is one\'s own choice', async () => {
  const { ann, anns, bobs } = await stage.two();
  await bobs.main.getByText('online', { exact: true }).waitFor();
  await anns.button('Profile').click();
  const dialog = anns.dialog('Profile');
  await dialog.getByRole('checkbox', { name: 'Invisible' }).check();
  await bobs.main.getByText(/last seen/).waitFor();
  await dialog.getByRole('checkbox', { name: 'Send receipts' }).uncheck();
  await until('both to be stored', async () => {
    const { isInvisible, sendsReceipts } = await ann.do('GET', '/api/auth/settings');
    return isInvisible && !sendsReceipts;
  });
  await anns.button('Close', dialog).click();
  await bobs.say('did you see it?');
  await anns.article('did you see it?').waitFor();
  await anns.titled('Chat');
  await anns.say('maybe');
  await bobs.article('maybe').waitFor();
  assert.equal(await bobs.article('did you see it?').getAttribute('data-state'), 'sent');
  await anns.page.reload();
  await anns.button('Profile').click();
  assert.ok(await anns.dialog('Profile').getByRole('checkbox', { name: 'Invisible' }).isChecked());
  assert.ok(!await anns.dialog('Profile').getByRole('checkbox', { name: 'Send receipts' }).isChecked());
});

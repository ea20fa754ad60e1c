// The round that every server on every store has to stand: with the shield on, as a new user has it.
import { test } from 'node:test';
import { file, stripes } from './pictures.mjs';
import { PASSWORD_MARK } from './people.mjs';
import { Stage, assert, until } from './stage.mjs';

const stage = new Stage({ SHIELD: 'on' });
/** As a browser of a person says, not one of a test. */
const userAgent = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';

async function signUp(name) {
  const tab = await stage.open(undefined, { userAgent });
  await tab.button('Create an account').click();
  await tab.field('Full name').fill(name);
  await tab.field('E-mail').fill(`${name.replaceAll(' ', '.').toLowerCase()}@example.org`);
  await tab.field('Password').fill(`${PASSWORD_MARK}-${name}`);
  await tab.button('Sign up').click();
  await tab.nav.waitFor();
  return tab;
}

test('from the sign-up to a restart in the middle of the conversation', async () => {
  const [anns, bobs] = [await signUp('Ann Example'), await signUp('Bob Sample')];
  await anns.search.fill('bob');
  await until('Bob', async () => {
    if (await anns.contact('Bob Sample').count()) return true;
    await anns.page.reload();
    await anns.search.fill('bob');
    return false;
  });
  await anns.contact('Bob Sample').click();
  await anns.say('Hello, Bob');
  await bobs.chat('Ann Example').filter({ hasText: '1 unread' }).waitFor();
  await bobs.converse('Ann Example');
  await anns.tick('Hello, Bob', 'Read').waitFor();
  await bobs.page.getByLabel('Attach a picture').setInputFiles([file(stripes())]);
  await bobs.page.getByRole('img', { name: 'Picture to send' }).waitFor();
  await bobs.say('Hello, Ann');
  const picture = anns.article('Hello, Ann').locator('img').first();
  await until('the picture', () => picture.evaluate((node) => node.complete && node.naturalWidth > 0));
  await anns.react('Hello, Ann', '👍');
  await bobs.article('Hello, Ann').getByRole('button', { name: /^👍 1/ }).waitFor();
  await anns.message.pressSequentially('I wri');
  await bobs.main.getByText('is typing').waitFor();
  await anns.message.fill('');

  await stage.server.kill();
  await anns.say('into the void');
  await bobs.say('me too');
  await stage.server.launch();
  await anns.tick('into the void', 'Read').waitFor();
  await bobs.tick('me too', 'Read').waitFor();
  const order = (await anns.shown()).map(({ seq }) => seq);
  assert.deepEqual(order, [1, 2, 3, 4]);
  await anns.page.reload();
  await bobs.page.reload();
  for (const tab of [anns, bobs]) await until('all', async () => (await tab.shown()).length === 4);
  await anns.choose('into the void', 'Delete for everyone');
  await anns.confirm('Delete for everyone');
  await bobs.article('This message was deleted').waitFor();
  await anns.button('Log out').click();
  await anns.page.getByRole('heading', { name: 'Log in' }).waitFor();
});

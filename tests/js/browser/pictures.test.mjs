// Pictures: chosen, pasted, dropped; seen before they are sent, while they are, and by the other one.
import { test } from 'node:test';
import { file, noise, stripes } from './pictures.mjs';
import { Stage, assert, until } from './stage.mjs';

const stage = new Stage();
const preview = (tab) => tab.page.getByRole('img', { name: 'Picture to send' });
const choose = (tab, ...files) => tab.page.getByLabel('Attach a picture').setInputFiles(files);

/** The picture of a message, once it is there. */
async function seen(tab, article) {
  const picture = article.locator('img').first();
  await picture.waitFor();
  await picture.scrollIntoViewIfNeeded();
  await until('the picture to be loaded', () => picture.evaluate((node) => node.complete && node.naturalWidth > 0));
  return picture.evaluate((node) => ({ width: node.naturalWidth, height: node.naturalHeight, src: node.currentSrc }));
}

test('by the button, with a preview that can be removed', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  await choose(anns, file(stripes()));
  await preview(anns).waitFor();
  await anns.button('Remove the picture').click();
  await preview(anns).waitFor({ state: 'hidden' });
  await choose(anns, file(stripes()));
  await preview(anns).waitFor();
  await anns.say('stripes');
  await preview(anns).waitFor({ state: 'hidden' });
  for (const tab of [anns, bobs]) {
    const { width, height } = await seen(tab, tab.article('stripes'));
    assert.deepEqual([width, height], [120, 80]);
  }
  await anns.tick('stripes', 'Read').waitFor();
  const { image } = (await ann.conversation(bob)).at(-1);
  assert.ok(image);
  // The same file once more, and without a word.
  await choose(anns, file(stripes()));
  await preview(anns).waitFor();
  await anns.button('Send').click();
  await bobs.articles.nth(2).waitFor();
  await seen(bobs, bobs.articles.nth(2));
  await bobs.chat(ann).filter({ hasText: /picture/i }).waitFor();
});

test('one that is not sent yet stays with its conversation', async () => {
  const { ann, bob, anns } = await stage.two();
  const [eve] = await stage.people('Eve');
  await eve.say(ann, 'and me');
  await choose(anns, file(stripes()));
  await preview(anns).waitFor();
  await anns.converse(eve);
  assert.equal(await preview(anns).count(), 0);
  await anns.say('no picture');
  await anns.tick('no picture', 'Sent').waitFor();
  await anns.converse(bob);
  await preview(anns).waitFor();
  await anns.say('stripes');
  await anns.tick('stripes', 'Read').or(anns.tick('stripes', 'Sent')).or(anns.tick('stripes', 'Delivered')).first().waitFor();
  assert.ok((await ann.conversation(bob)).at(-1).image);
  assert.ok(!(await ann.conversation(eve)).at(-1).image);
  await anns.converse(eve);
  await anns.converse(bob);
  assert.equal(await preview(anns).count(), 0);
});

test('pasted, and dropped', async () => {
  const { anns, bobs } = await stage.two();
  const bytes = [...stripes(60, 90)];
  const give = (kind) => anns.page.evaluate(([type, data]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(data)], 'given.png', { type: 'image/png' }));
    const text = document.querySelector('textarea');
    if (type === 'paste') {
      text.focus();
      text.dispatchEvent(new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true, cancelable: true }));
      return;
    }
    const log = document.querySelector('[role=log]');
    for (const name of ['dragenter', 'dragover', 'drop']) {
      log.dispatchEvent(new DragEvent(name, { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }
  }, [kind, bytes]);
  for (const kind of ['paste', 'drop']) {
    await give(kind);
    await preview(anns).waitFor();
    await anns.say(`by ${kind}`);
    const { width, height } = await seen(bobs, bobs.article(`by ${kind}`));
    assert.deepEqual([width, height], [60, 90]);
  }
  // Text is dropped and pasted as ever.
  const isTaken = await anns.page.evaluate(() => {
    const transfer = new DataTransfer();
    transfer.setData('text/plain', 'plain text');
    return !document.querySelector('textarea').dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
  });
  assert.ok(!isTaken, 'text can not be dropped into the field');
  await anns.message.fill('');
  await anns.page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: stage.server.url });
  await anns.page.evaluate(() => navigator.clipboard.writeText('plain text'));
  await anns.message.press('Control+v');
  await until('the text', async () => await anns.message.inputValue() === 'plain text');
});

test('one sees how far it is, and what was typed after it comes after it', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  stage.server.network.swallowAnswers();
  await choose(anns, file(noise(900, 900)));
  await preview(anns).waitFor();
  await anns.say('large');
  await anns.article('large').getByRole('progressbar', { name: 'Upload' }).waitFor();
  assert.equal(await anns.article('large').getAttribute('data-state'), 'pending');
  await anns.say('small');
  stage.server.network.mend();
  await anns.tick('small', 'Read').waitFor();
  await anns.article('large').getByRole('progressbar').waitFor({ state: 'hidden' });
  for (const tab of [anns, bobs]) await tab.reads('hello', 'large', 'small');
  assert.deepEqual((await seen(bobs, bobs.article('large'))).width, 900);
  assert.equal((await ann.conversation(bob)).length, 3);
});

test('one that waits survives a reload, and is sent once', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  await stage.server.kill();
  await choose(anns, file(stripes()));
  await preview(anns).waitFor();
  await anns.say('kept');
  await anns.say('and a word behind it');
  await anns.reads('hello', 'kept', 'and a word behind it');
  const context = anns.page.context();
  await anns.page.close();
  await stage.server.launch();
  // Its disk is slow: what is to be had from there comes long after the connection.
  await context.addInitScript(() => {
    const { set } = Object.getOwnPropertyDescriptor(IDBRequest.prototype, 'onsuccess');
    const { open } = IDBFactory.prototype;
    IDBFactory.prototype.open = function later(...args) {
      const request = open.apply(this, args);
      Object.defineProperty(request, 'onsuccess', {
        set(listener) { set.call(request, (event) => setTimeout(() => listener.call(request, event), 1500)); },
      });
      return request;
    };
  });
  await context.routeWebSocket(/\/ws/, (socket) => { setTimeout(() => socket.connectToServer(), 500); });
  const later = await stage.tab(context);
  await later.converse(bob);
  await seen(later, later.article('kept'));
  await bobs.article('and a word behind it').waitFor();
  for (const tab of [later, bobs]) await tab.reads('hello', 'kept', 'and a word behind it');
  assert.equal((await seen(bobs, bobs.article('kept'))).width, 120);
  assert.equal((await ann.conversation(bob)).length, 3);
});

test('what is too large for the server is made smaller, and what is no picture is refused with a word', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  await choose(anns, file(noise(1500, 1400)));
  await preview(anns).waitFor();
  await anns.say('huge');
  const { width, height } = await seen(bobs, bobs.article('huge'));
  assert.ok(Math.abs(width / height - 1500 / 1400) < 0.02, `${width} x ${height}`);
  await choose(anns, file(Buffer.from('GIF89a, says somebody'), 'fake.gif', 'image/gif'));
  await until('a word on it', async () => (await anns.page.getByRole('alert').allInnerTexts()).some((text) => text.trim()));
  assert.equal(await preview(anns).count(), 0);
  assert.equal((await ann.conversation(bob)).length, 2);
});

test('a picture that comes does not push away what one reads, and opens at a click', async () => {
  const { ann, bob, anns } = await stage.two();
  const data = `data:image/png;base64,${stripes(200, 300).toString('base64')}`;
  for (let i = 0; i < 5; i += 1) await ann.do('POST', `/api/messages/send/${bob.id}`, { text: `picture ${i}.`, image: data });
  await anns.article('picture 4.').waitFor();
  await seen(anns, anns.article('picture 4.'));
  const gap = () => anns.log.evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight);
  await until('the end to be in view', async () => Math.abs(await gap()) < 4);
  await anns.page.reload();
  await anns.article('picture 4.').waitFor();
  await seen(anns, anns.article('picture 4.'));
  await until('the end to be in view', async () => Math.abs(await gap()) < 4);
  await anns.article('picture 4.').locator('img').first().click();
  await anns.page.getByRole('dialog').locator('img').waitFor();
  await anns.page.keyboard.press('Escape');
  await anns.page.getByRole('dialog').waitFor({ state: 'hidden' });
});

test('below a path of another site all is found: the page, its parts, the socket, the pictures', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  await stage.server.kill();
  await stage.server.launch({ PUBLIC_URL: `${stage.server.url}/below/here` });
  // What stands in front of the server takes the path away; what has none is somebody else's.
  stage.server.network.rewrite = (text) => text.replace(/^([A-Z]+) (\S+)(?= HTTP)/gm, (_, method, path) => `${method} ${path.startsWith('/below/here/') ? path.slice('/below/here'.length) : '/not-ours'}`);
  await bob.say(ann, 'a picture', { image: `data:image/png;base64,${stripes().toString('base64')}` });
  const tab = await stage.tab(await stage.context(ann), '/below/here/');
  await tab.converse(bob);
  await seen(tab, tab.article('a picture'));
  await bob.say(ann, 'live');
  await tab.article('live').waitFor();
  await tab.say('and back');
  await tab.tick('and back', /Sent|Delivered|Read/).waitFor();
  await tab.page.reload();
  await tab.reads('a picture', 'live', 'and back');
});

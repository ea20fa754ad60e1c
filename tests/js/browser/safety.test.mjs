// What others write is text, wherever it is shown: nothing of it runs, and nothing of it leads where a link must not.
import { test } from 'node:test';
import { Person } from './people.mjs';
import { file, stripes } from './pictures.mjs';
import { Stage, assert, until } from './stage.mjs';

const stage = new Stage();

const ATTACKS = [
  '<script>pwned("a script")</script>',
  '<img src=x onerror=pwned("an image")>',
  '"><svg onload=pwned("a drawing")>',
  '\'-pwned("a quote")-\'',
  '<iframe srcdoc="<script>parent.pwned(1)</script>">',
  '<a href="javascript:pwned(1)">press here</a>',
  '</p></article></main><style>* { display: none }</style>',
  '{{constructor.constructor("pwned(1)")()}} ${pwned(1)}',
  '&lt;img src=x onerror=pwned(1)&gt;',
  '\u202Egnp.exe \u0000\u2028\u2029',
];

test('text that looks like markup is text: in bubbles, lists, answers, titles, drafts, notifications', async () => {
  const { ann, bob, anns, bobs } = await stage.two();
  for (const attack of ATTACKS) {
    await bobs.say(attack.replaceAll('\u0000', ''));
    const text = attack.replaceAll('\u0000', '').trim();
    await until(`${attack}, as it is`, () => anns.articles.locator('p').evaluateAll((all, wanted) => all.at(-1)?.textContent === wanted, text));
    await until('it to be in the list', async () => (await anns.chat(bob).textContent()).includes(text));
  }
  for (const attack of ATTACKS.slice(0, 3)) {
    await anns.article(attack).first().scrollIntoViewIfNeeded();
    await anns.choose(attack, 'Reply');
    await anns.page.getByRole('blockquote').filter({ hasText: attack }).last().waitFor();
    await anns.say(`answer to ${ATTACKS.indexOf(attack)}`);
    await bobs.article(`answer to ${ATTACKS.indexOf(attack)}`).getByRole('blockquote').filter({ hasText: attack }).waitFor();
    await anns.message.fill(attack);
    await anns.page.reload();
    await until('the draft', async () => await anns.message.inputValue() === attack);
    await anns.message.fill('');
  }
  for (const tab of [anns, bobs]) {
    const strange = await tab.page.evaluate(() => document.querySelectorAll('#app script, #app iframe, #app style, #app [onerror], #app [onload], #app a[href^="javascript:" i]').length);
    assert.equal(strange, 0);
  }
  assert.equal((await ann.conversation(bob)).length, 1 + ATTACKS.length + 3);
});

test('a name that looks like markup is a name', async () => {
  const names = ['<img src=x onerror=pwned("a name")>', '"><script>pwned("a name")</script>', 'Eve" onmouseover="pwned(1)" x="'];
  const [ann] = await stage.people('Ann');
  const anns = await stage.open(ann);
  for (const name of names) {
    const eve = await Person.signUp(stage.server, name, { isUnique: false });
    await eve.say(ann, `hello from ${name.length}`);
    await anns.page.reload();
    await anns.chat(name).waitFor();
    await anns.converse(eve);
    assert.equal(await anns.main.getByRole('heading', { name }).innerText(), name);
    const eves = await stage.open(eve);
    await eves.converse(ann);
    await eves.message.pressSequentially('typing');
    await anns.main.getByText('is typing').waitFor();
    await eves.message.press('Enter');
    await anns.article('typing').waitFor();
    await anns.choose('typing', 'Reply');
    await anns.message.press('Escape');
    await eves.button('Profile').click();
    assert.equal(await eves.field('Full name', eves.dialog('Profile')).inputValue(), name);
    await anns.button('Conversation actions').click();
    await anns.page.getByRole('menuitem', { name: 'Block', exact: true }).click();
    await anns.confirm('Block');
    await anns.button('Profile').click();
    await anns.dialog('Profile').getByRole('list', { name: 'Blocked' }).getByText(name).waitFor();
    await anns.button('Close').click();
  }
});

test('the name of a file is text', async () => {
  const { anns, bobs } = await stage.two();
  for (const name of ['"><img src=x onerror=pwned(1)>.png', '<script>pwned(1)</script>.png', 'x.png\' onload=\'pwned(1)']) {
    await anns.page.getByLabel('Attach a picture').setInputFiles([file(stripes(), name)]);
    await anns.page.getByRole('img', { name: 'Picture to send' }).waitFor();
    await anns.say(`a file ${name.length}`);
    await bobs.article(`a file ${name.length}`).locator('img').waitFor();
  }
  // A drawing can have scripts in it: it is not sent as it is.
  const drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="pwned(1)"><script>pwned(1)</script></svg>';
  await anns.page.getByLabel('Attach a picture').setInputFiles([file(Buffer.from(drawing), 'drawing.svg', 'image/svg+xml')]);
  const preview = anns.page.getByRole('img', { name: 'Picture to send' });
  await until('a preview or a word', async () => await preview.count() || (await anns.page.getByRole('alert').allInnerTexts()).some((text) => text.trim()));
});

const LINKS = [
  ['see https://example.org/a?b=c#d.', ['https://example.org/a?b=c#d']],
  ['(http://example.org/x_(y)), and more', ['http://example.org/x_(y)']],
  ['HTTPS://EXAMPLE.ORG/Loud!', ['https://example.org/Loud']],
  ['two: https://a.example.org https://b.example.org', ['https://a.example.org/', 'https://b.example.org/']],
  ['javascript:pwned(1)', []],
  ['JaVaScRiPt://example.org/%0apwned(1)', []],
  ['java\tscript:pwned(1) data:text/html,<script>pwned(1)</script>', []],
  ['vbscript:x file:///etc/passwd ftp://example.org blob:https://example.org/x', undefined],
  ['https://example.org/"onmouseover="pwned(1)', ['https://example.org/']],
  ['https://example.org/\'onclick=\'pwned(1)', undefined],
  ['https://<img src=x onerror=pwned(1)>', []],
  ['http:// https:// http://:80', []],
];

test('links are made of http and https only, and say where they lead', async () => {
  const { anns, bobs } = await stage.two();
  for (const [text, expected] of LINKS) {
    await anns.say(text);
    await bobs.article(text.split(/\s/)[0]).last().waitFor();
    const article = bobs.articles.last();
    await until('it is the last', async () => (await article.textContent()).includes(text.slice(0, 12)));
    const links = await article.locator('a').evaluateAll((all) => all.map((node) => ({
      href: node.href, said: node.textContent, target: node.target, rel: node.rel, more: node.getAttributeNames(),
    })));
    if (expected) assert.deepEqual(links.map(({ href }) => href), expected, text);
    for (const { href, said, target, rel, more } of links) {
      assert.match(href, /^https?:/);
      assert.equal(new URL(said).href, href, 'what it says is where it leads');
      assert.equal(target, '_blank');
      assert.deepEqual(rel.split(' ').sort(), ['nofollow', 'noopener', 'noreferrer']);
      assert.ok(more.every((name) => ['href', 'rel', 'target', 'class'].includes(name)), String(more));
    }
    assert.equal(await article.locator('p').first().textContent(), text);
  }
});

test('an address that somebody gives to one opens nothing but a conversation', async () => {
  const [ann] = await stage.people('Ann');
  const context = await stage.context(ann);
  for (const hash of ['#chat=<img src=x onerror=pwned(1)>', '#chat=javascript:pwned(1)', `#chat=${'0'.repeat(24)}`, `#chat=${ann.id}`, '#"><script>pwned(1)</script>', '#__proto__']) {
    const tab = await stage.tab(context, `/${hash}`);
    await tab.nav.waitFor();
    await tab.judge();
    await tab.page.close();
  }
});

test('the policy is strict, and in force', async () => {
  const response = await fetch(stage.server.url);
  const policy = response.headers.get('content-security-policy');
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /script-src 'self'/);
  assert.ok(!policy.includes('unsafe'), policy);
  assert.ok(!/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=/i.test(await response.text()), 'nothing inline in the page');
  const [ann] = await stage.people('Ann');
  const tab = await stage.open(ann);
  await tab.judge();
  const ran = await tab.page.evaluate(async () => {
    const seen = [];
    const attempt = (what, act) => { try { act(); seen.push(what); } catch { /* As it should be. */ } };
    attempt('markup', () => { document.body.insertAdjacentHTML('beforeend', '<b>x</b>'); });
    attempt('eval', () => { (0, eval)('1'); });
    const image = document.createElement('img');
    attempt('an attribute', () => image.setAttribute('onerror', 'globalThis.pwned("an attribute")'));
    image.src = 'data:,x';
    document.body.append(image);
    await new Promise((resolve) => { image.addEventListener('error', resolve); });
    const style = document.createElement('style');
    style.textContent = 'body { color: rgb(1, 2, 3) }';
    document.head.append(style);
    if (getComputedStyle(document.body).color === 'rgb(1, 2, 3)') seen.push('a style');
    return seen;
  });
  // What a test evaluates may evaluate.
  assert.deepEqual(ran.filter((what) => what !== 'eval'), []);
  const found = await tab.page.evaluate(() => globalThis.found.splice(0));
  assert.ok(found.length > 0 && found.every((what) => what.startsWith('against the policy')), String(found));
  tab.errors.length = 0;
});

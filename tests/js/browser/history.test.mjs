// A long history: it comes page by page, nothing jumps, and ten thousand messages are as quick as fifty.
import { test } from 'node:test';
import { seed } from './people.mjs';
import { Stage, assert, until } from './stage.mjs';

const stage = new Stage({ RUST_LOG: 'warn' });
const MANY = 10_000;
const STEP = 700;

/** In the page: what the tests below need of it. */
const TOOLS = () => {
  const log = () => document.querySelector('[role=log]');
  const frame = () => new Promise((resolve) => { requestAnimationFrame(resolve); });
  const articles = () => log().getElementsByTagName('article');
  /** The first article below the upper edge: from the one of the last time on, because to measure one that is out of view costs. */
  let near;
  const anchor = () => {
    const { top } = log().getBoundingClientRect();
    const walker = document.createTreeWalker(log(), NodeFilter.SHOW_ELEMENT, (node) => (node.localName === 'article' ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_SKIP));
    const isBelow = (node) => node.getBoundingClientRect().top >= top;
    near = near?.isConnected ? near : articles()[articles().length - 1];
    walker.currentNode = near;
    if (isBelow(near)) while (walker.previousNode() && isBelow(walker.currentNode)) near = walker.currentNode;
    else while (!isBelow(near) && walker.nextNode()) near = walker.currentNode;
    return near;
  };
  globalThis.tools = {
    frame,
    articles,
    anchor: () => anchor().dataset.id,
    // Its upper edge may change: it may not be the first of its group any more.
    endOf: (id) => log().querySelector(`article[data-id="${id}"]`).getBoundingClientRect().bottom,
    first: () => Number(articles()[0].dataset.seq),
    count: () => articles().length,
    /** Scrolls step by step to an end; what is in view must move by just that much. Returns the times of frames, and jumps. */
    async walk(step, isDone) {
      const times = [];
      const jumps = [];
      let last = performance.now();
      while (!isDone()) {
        const node = anchor();
        const before = node.getBoundingClientRect().bottom;
        const { scrollTop, scrollHeight, clientHeight } = log();
        const room = step < 0 ? scrollTop : scrollHeight - clientHeight - scrollTop;
        log().scrollBy({ top: step, behavior: 'instant' });
        await frame();
        await frame();
        const now = performance.now();
        times.push((now - last) / 2);
        last = now;
        const moved = before - node.getBoundingClientRect().bottom;
        if (room >= Math.abs(step) && Math.abs(moved - step) > 2) jumps.push({ seq: node.dataset.seq, moved, step });
      }
      return { times, jumps };
    },
  };
};

const summary = (times) => {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))].toFixed(1);
  return `${times.length} steps; ms per frame: median ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)}, worst ${at(1)}`;
};

test('what happens further up than what is loaded comes with its page', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  await seed(ann, bob, 160);
  const tab = await stage.open(ann);
  await tab.converse(bob);
  await until('the newest', async () => (await tab.shown()).at(-1)?.seq === 160);
  const old = (await bob.conversation(ann)).find(({ seq, senderId }) => seq < 20 && senderId === bob.id);
  await bob.delete(old);
  await bob.say(ann, 'after that');
  await tab.article('after that').waitFor();
  assert.ok((await tab.shown()).every(({ seq }) => seq !== old.seq), 'not before its page');
  await until('all of them', async () => {
    await tab.page.evaluate(() => { document.querySelector('[role=log]').scrollTop = 0; });
    return (await tab.shown())[0]?.seq === 1;
  });
  assert.deepEqual((await tab.shown()).map(({ seq }) => seq), Array.from({ length: 161 }, (_, n) => n + 1));
});

test('pages that come above leave what one reads where it is', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  await seed(ann, bob, 420);
  const tab = await stage.open(ann);
  await tab.page.evaluate(TOOLS);
  // Each page is held until the scrolling is over.
  let held;
  await tab.page.route(/\/api\/messages\/[0-9a-f]{24}\?.*before=/, (route) => { held = route; });
  await tab.converse(bob);
  await until('the newest', async () => (await tab.shown()).at(-1)?.seq === 420);
  for (let pages = 0; pages < 6; pages += 1) {
    await until('a further page to be asked for', async () => {
      if (!held) await tab.page.evaluate(() => { document.querySelector('[role=log]').scrollTop = 200; });
      return held;
    });
    // At the very top browsers hold nothing by themselves.
    await tab.page.evaluate((top) => { document.querySelector('[role=log]').scrollTop = top; }, pages % 2 ? 200 : 0);
    await tab.page.evaluate(async () => { await globalThis.tools.frame(); await globalThis.tools.frame(); });
    const [id, first] = await tab.page.evaluate(() => [globalThis.tools.anchor(), globalThis.tools.first()]);
    const before = await tab.page.evaluate((of) => globalThis.tools.endOf(of), id);
    const route = held;
    held = undefined;
    await route.continue();
    await until('the page to be there', () => tab.page.evaluate((seq) => globalThis.tools.first() < seq, first));
    await tab.page.evaluate(async () => { await globalThis.tools.frame(); await globalThis.tools.frame(); });
    const after = await tab.page.evaluate((of) => globalThis.tools.endOf(of), id);
    assert.ok(Math.abs(after - before) <= 2, `it jumped by ${after - before} pixels`);
  }
});

test('an answer leads far back to what it answers', async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  const question = await bob.say(ann, 'the question of long ago');
  await seed(ann, bob, 300);
  await bob.say(ann, 'an answer, at last', { replyTo: question._id });
  const tab = await stage.open(ann);
  await tab.converse(bob);
  await tab.article('an answer, at last').getByRole('blockquote').click();
  const target = tab.log.locator(`article[data-id="${question._id}"]`);
  await target.waitFor();
  await until('it to be in view', () => target.evaluate((node) => {
    const [box, log] = [node.getBoundingClientRect(), node.closest('[role=log]').getBoundingClientRect()];
    return box.top >= log.top && box.bottom <= log.bottom;
  }));
  await tab.button('Jump to the newest').click();
  await until('the end', () => tab.log.evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight < 4));
});

test(`${MANY} messages`, async () => {
  const [ann, bob] = await stage.people('Ann', 'Bob');
  let start = Date.now();
  await seed(ann, bob, MANY);
  console.log(`${MANY} messages made in ${Date.now() - start} ms`);
  const tab = await stage.open(ann);
  await tab.page.evaluate(TOOLS);
  start = Date.now();
  await tab.converse(bob);
  await until('the newest', async () => (await tab.shown()).at(-1)?.seq === MANY);
  console.log(`the newest page shown after ${Date.now() - start} ms`);

  // Up to the very first one.
  start = Date.now();
  const up = await tab.page.evaluate((step) => {
    const end = performance.now() + 120_000;
    return globalThis.tools.walk(-step, () => globalThis.tools.first() === 1 || performance.now() > end);
  }, STEP);
  assert.equal(await tab.page.evaluate(() => globalThis.tools.first()), 1, 'it did not get to the first message');
  console.log(`up, loading: ${Date.now() - start} ms, ${summary(up.times)}`);
  assert.deepEqual(up.jumps, []);
  const seqs = await tab.page.evaluate(() => Array.from(globalThis.tools.articles(), ({ dataset }) => Number(dataset.seq)));
  assert.ok(seqs.every((seq, i) => i === 0 || seq === seqs[i - 1] + 1), 'messages are missing or out of order');

  // All the way down, with all of them there.
  const down = await tab.page.evaluate((step) => {
    const log = document.querySelector('[role=log]');
    const end = performance.now() + 60_000;
    return globalThis.tools.walk(step, () => log.scrollHeight - log.scrollTop - log.clientHeight < 2 || performance.now() > end);
  }, 4 * STEP);
  console.log(`down, through ${await tab.page.evaluate(() => globalThis.tools.count())} articles: ${summary(down.times)}`);
  assert.deepEqual(down.jumps, []);

  // A message more costs one article.
  await tab.page.evaluate(() => {
    globalThis.added = 0;
    globalThis.long = [];
    new PerformanceObserver((list) => { for (const { duration } of list.getEntries()) globalThis.long.push(Math.round(duration)); }).observe({ type: 'longtask' });
    addEventListener('keydown', () => { globalThis.pressed = performance.now(); }, true);
    new MutationObserver((records) => {
      globalThis.took ??= performance.now() - globalThis.pressed;
      for (const { addedNodes } of records) for (const node of addedNodes) globalThis.added += 1 + (node.getElementsByTagName?.('article').length ?? 0);
    }).observe(document.querySelector('[role=log]'), { childList: true, subtree: true });
  });
  await tab.say('one more');
  await until('it', () => tab.page.evaluate((seq) => Number([...globalThis.tools.articles()].at(-1).dataset.seq) === seq, MANY + 1));
  console.log(`from the key to the message in the page: ${(await tab.page.evaluate(() => globalThis.took)).toFixed(1)} ms`);
  await bob.say(ann, 'and an answer');
  await until('it', () => tab.page.evaluate((seq) => Number([...globalThis.tools.articles()].at(-1).dataset.seq) === seq, MANY + 2));
  const [added, long] = await tab.page.evaluate(() => [globalThis.added, globalThis.long]);
  console.log(`tasks of more than 50 ms for two messages: ${long.length ? `${long} ms` : 'none'}`);
  assert.ok(added < 40, `${added} nodes were made for two messages`);
});

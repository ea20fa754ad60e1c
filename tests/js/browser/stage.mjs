// What every suite stands on: a server, a browser, and people in it.
import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import { launchChromium } from './launch.mjs';
import { Person } from './people.mjs';
import { Server } from './server.mjs';
import { DEADLINE, until } from './wait.mjs';
import { Tab, WATCH } from './tab.mjs';

/** Milliseconds. */
const PARTING = 10_000;

/** Says to the test runner that this suite has a server with these settings, and a browser. */
export class Stage {
  #contexts = [];
  #tabs = [];

  constructor(settings = {}) {
    before(async () => {
      this.browser = await launchChromium();
      this.server = await Server.start(typeof settings === 'function' ? await settings() : settings);
    });
    afterEach(async () => {
      // One broken test must not break the next one.
      this.server.network.mend();
      this.server.network.rewrite = undefined;
      const tabs = this.#tabs.splice(0);
      const contexts = this.#contexts.splice(0);
      try {
        for (const tab of tabs) await tab.judge();
      } finally {
        await Promise.all(contexts.map((context) => context.close()));
      }
    });
    after(async () => {
      // A browser that does not end is killed with this process, which does not wait for whatever else is still open.
      await Promise.race([this.browser?.close(), new Promise((resolve) => { setTimeout(resolve, PARTING).unref(); })]);
      await this.server?.stop();
      setTimeout(() => process.exit(), PARTING).unref();
      // Node 20 waits for each handle when it ends by itself, also for those that never close; when it is told to end, it ends.
      process.on('exit', () => process.exit());
    });
  }

  /** New people with these first names. */
  people(...names) {
    return Promise.all(names.map((name) => Person.signUp(this.server, name)));
  }

  /** A window of its own, with this person signed in, or nobody. */
  async context(person, options = {}) {
    const context = await this.browser.newContext({ locale: 'en-GB', viewport: { width: 1100, height: 800 }, ...options });
    this.#contexts.push(context);
    context.setDefaultTimeout(DEADLINE);
    await context.addInitScript(WATCH);
    if (person) await context.addCookies([{ name: 'jwt', value: person.token, url: this.server.url, httpOnly: true, sameSite: 'Lax' }]);
    return context;
  }

  /** A tab of that window that has loaded the client. */
  async tab(context, path = '/') {
    const page = await context.newPage();
    const tab = new Tab(page);
    this.#tabs.push(tab);
    tab.url = this.server.url + path;
    await page.goto(tab.url);
    return tab;
  }

  /** Somebody at their computer, who sees their chats. */
  async open(person, options) {
    const tab = await this.tab(await this.context(person, options));
    if (person) await tab.nav.waitFor();
    return tab;
  }

  /** Two people, each in a window of their own, in the conversation that they have: with one message in it. */
  async two(names = ['Ann', 'Bob']) {
    const [ann, bob] = await this.people(...names);
    await ann.say(bob, 'hello');
    const [anns, bobs] = await Promise.all([this.open(ann), this.open(bob)]);
    await anns.converse(bob);
    await bobs.converse(ann);
    await Promise.all([anns.reads('hello'), bobs.reads('hello')]);
    return { ann, bob, anns, bobs };
  }
}

export { assert, until };

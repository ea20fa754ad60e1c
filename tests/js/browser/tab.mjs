// A tab of a browser, and where things are in it: by role and name, as somebody finds them who can't see it.
import assert from 'node:assert/strict';
import { until } from './wait.mjs';

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
/** What is logged as an error though it is none of the page's: that a request failed, or was refused. */
const EXPECTED = /^(Failed to load resource: |WebSocket connection to )/;

export class Tab {
  /** What the page did that no page should do. */
  errors = [];

  constructor(page) {
    this.page = page;
    page.on('pageerror', (error) => this.errors.push(`uncaught: ${error.stack ?? error}`));
    page.on('console', (message) => {
      if (message.type() === 'error' && !EXPECTED.test(message.text())) this.errors.push(`console: ${message.text()}`);
    });
    page.on('dialog', (dialog) => { this.errors.push(`a box of the browser: ${dialog.message()}`); dialog.dismiss().catch(() => {}); });
    page.on('crash', () => this.errors.push('the page crashed'));
  }

  button(name, within = this.page) { return within.getByRole('button', { name, exact: typeof name === 'string' }); }
  field(name, within = this.page) { return within.getByRole('textbox', { name, exact: true }).or(within.getByLabel(name, { exact: true })).first(); }

  // --- The list ---

  get nav() { return this.page.getByRole('navigation', { name: 'Chats' }); }
  get search() { return this.page.getByRole('searchbox', { name: 'Search people' }); }
  #entry(list, person) {
    const within = this.nav.getByRole('list', { name: list, exact: true });
    const name = new RegExp(`^${escaped(person.name ?? person)}`);
    return within.getByRole('link', { name }).or(within.getByRole('button', { name })).first();
  }
  chat(person) { return this.#entry('Chats', person); }
  contact(person) { return this.#entry('Contacts', person); }

  /** Opens the conversation with somebody, from whichever list they are in. */
  async converse(person) {
    await this.chat(person).or(this.contact(person)).first().click();
    await this.main.getByRole('heading', { name: person.name }).waitFor();
    await this.message.waitFor();
  }

  // --- A conversation ---

  get main() { return this.page.getByRole('main'); }
  get log() { return this.main.getByRole('log', { name: 'Messages' }); }
  get articles() { return this.log.getByRole('article'); }
  get message() { return this.page.getByRole('textbox', { name: 'Message', exact: true }); }
  article(text) { return this.articles.filter({ hasText: text }); }
  tick(text, name) { return this.article(text).getByLabel(name, { exact: true }); }

  async say(text) {
    await this.message.fill(text);
    await this.message.press('Enter');
  }

  /** What the articles say of themselves, from the top. */
  shown() {
    return this.articles.evaluateAll((all) => all.map(({ dataset, textContent }) => ({
      id: dataset.id, seq: Number(dataset.seq), clientId: dataset.clientId, state: dataset.state, text: textContent,
    })));
  }

  /** Waits until exactly these texts are there, once each and in this order; what else an article says does not matter. */
  async reads(...texts) {
    let shown = [];
    await until(() => `${JSON.stringify(texts)}, it shows ${JSON.stringify(shown.map(({ text }) => text))}`, async () => {
      shown = await this.shown();
      return shown.length === texts.length && texts.every((text, i) => shown[i].text.includes(text));
    });
    return shown;
  }

  /** Chooses from the menu of a message. */
  async choose(text, item) {
    const article = this.article(text);
    await article.hover();
    await this.button('Message actions', article).click();
    await this.page.getByRole('menu', { name: 'Message actions' }).getByRole('menuitem', { name: item, exact: true }).click();
  }

  async react(text, emoji) {
    await this.choose(text, 'React');
    await this.page.getByRole('dialog', { name: 'React' }).getByRole('button', { name: emoji }).first().click();
  }

  /** Presses the button of a question that has the same name as it. */
  async confirm(name) {
    await this.page.getByRole('dialog', { name }).getByRole('button', { name, exact: true }).click();
  }

  async titled(title) {
    let is;
    await until(() => `the title ${title}, it is ${is}`, async () => (is = await this.page.title()) === title);
  }

  dialog(name) { return this.page.getByRole('dialog', { name }); }

  // --- Judging ---

  /** Whether anything in the page has run that was not ours, or was stopped by its policy. */
  async judge() {
    if (!this.page.isClosed()) {
      const found = await this.page.evaluate(() => globalThis.found?.splice(0) ?? []).catch(() => []);
      this.errors.push(...found);
    }
    assert.deepEqual(this.errors, [], 'errors in the page');
  }
}

/** In every page before its own scripts: remembers what its policy stopped, and what was run that should not have been. */
export const WATCH = () => {
  globalThis.found = [];
  globalThis.pwned = (what) => globalThis.found.push(`ran: ${what}`);
  document.addEventListener('securitypolicyviolation', (event) => {
    globalThis.found.push(`against the policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
  });
};

// People who use the API without a browser: to prepare what a browser then sees, and to look up what it did.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import { until } from './wait.mjs';

/** Part of every password: it must not turn up in any log. */
export const PASSWORD_MARK = 'pw-Tr0ub4dor';

export class Person {
  /** Somebody new; the name is unlike any other, and begins with `name`. */
  static async signUp(server, name = 'Somebody', { isUnique = true } = {}) {
    const tag = randomBytes(4).toString('hex');
    const fullName = isUnique ? `${name} ${tag}` : name;
    const form = { email: `web-${tag}@example.org`, fullName, password: `${PASSWORD_MARK}-${tag}` };
    const person = Object.assign(new Person(), { server, form, name: fullName });
    const { data, cookie } = await person.#credentials('/api/auth/signup', form);
    return Object.assign(person, { id: data._id, token: /^jwt=([^;]+)/.exec(cookie)[1] });
  }

  async #credentials(path, body) {
    return until('a place at the password workers', async () => {
      const response = await fetch(this.server.direct + path, {
        method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
      });
      if (response.status === 503) return undefined;
      const { data, message } = await response.json();
      assert.ok(response.ok, message);
      return { data, cookie: response.headers.get('set-cookie') };
    });
  }

  /** A further sign-in of the same person. */
  async logIn() {
    const { email, password } = this.form;
    const { cookie } = await this.#credentials('/api/auth/login', { email, password });
    return Object.assign(new Person(), this, { token: /^jwt=([^;]+)/.exec(cookie)[1] });
  }

  /** What is answered, whatever it is. */
  async ask(method, path, body) {
    const headers = { authorization: `Bearer ${this.token}`, ...(body && { 'content-type': 'application/json' }) };
    const response = await fetch(this.server.direct + path, { method, headers, body: body && JSON.stringify(body) });
    return { status: response.status, ...await response.json() };
  }

  async do(method, path, body) {
    const { status, success, data, message } = await this.ask(method, path, body);
    assert.ok(success, `${method} ${path}: ${status} ${message}`);
    return data;
  }

  say(to, text, more = {}) {
    return this.do('POST', `/api/messages/send/${to.id}`, { text, ...more });
  }

  edit(message, text) {
    return this.do('PUT', `/api/messages/${message._id}`, { text });
  }

  delete(message) {
    return this.do('DELETE', `/api/messages/${message._id}`);
  }

  react(message, emoji) {
    return this.do('PUT', `/api/messages/${message._id}/reactions`, { emoji });
  }

  /** The newest 200 messages with somebody, the oldest first. */
  conversation(other) {
    return this.do('GET', `/api/messages/${other.id}?limit=200`);
  }

  /** Their texts, once there are so many. */
  async texts(other, count) {
    let texts = [];
    return until(() => `${count} messages, there are ${JSON.stringify(texts)}`, async () => {
      texts = (await this.conversation(other)).map((message) => message.text);
      return texts.length >= count && texts;
    });
  }
}

/** So many messages to and fro, quickly: many at once, so their order is any. */
export async function seed(ann, bob, count) {
  const words = 'the tide was low and we walked along the shore until it got dark and the lamps went on'.split(' ');
  // A tenth of what `fetch` takes.
  const agent = new Agent({ keepAlive: true, maxSockets: 24 });
  const post = (from, to, text) => new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${from.token}`, 'content-type': 'application/json' };
    const asked = request(`${from.server.direct}/api/messages/send/${to.id}`, { method: 'POST', agent, headers }, (response) => {
      response.resume().on('end', () => (response.statusCode === 201 ? resolve() : reject(new Error(`sending: ${response.statusCode}`))));
    });
    asked.on('error', reject).end(JSON.stringify({ text }));
  });
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const i = next++;
      const [from, to] = i % 3 === 0 ? [bob, ann] : [ann, bob];
      await post(from, to, `${i} ${words.slice(0, 1 + (i * 7) % words.length).join(' ')}${i % 11 === 0 ? '\nand a second line' : ''}`);
    }
  };
  await Promise.all(Array.from({ length: 24 }, worker));
  agent.destroy();
}

// A front end that comes back has everything: with the very code of the README.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { AUTH, BASE, TRANSPORT, api, friends, until } from './lib.mjs';
import { connect } from './resuming.mjs';

// That code signs in by token.
const withToken = AUTH === 'token' && TRANSPORT !== 'polling' ? test : () => {};

test('the README shows this code', () => {
  const code = readFileSync(new URL('resuming.mjs', import.meta.url), 'utf8').trim();
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  assert.ok(readme.includes(code), 'README.md shows another code than resuming.mjs');
});

withToken('what happened meanwhile is there after the reconnect', async () => {
  const [ann, bob] = await friends();
  const kept = { messages: new Map() };
  let reloads = 0;
  const socket = connect(BASE, bob.token, kept, () => (reloads += 1));
  const agrees = async () => {
    const fresh = await bob.conversation(ann);
    const copy = [...kept.messages.values()].filter((message) => message.seq > 2).sort((a, b) => a.seq - b.seq);
    try {
      assert.deepEqual(copy, fresh.filter((message) => message.seq > 2));
      return true;
    } catch {
      return false;
    }
  };
  try {
    await until('a cursor', () => kept.since);
    const first = await ann.say(bob, 'first');
    const second = await ann.say(bob, 'second');
    await until('both', agrees);
    for (let round = 0; round < 3; round += 1) {
      // The line is cut, not closed: the client comes back by itself.
      socket.io.engine.close();
      await ann.say(bob, `while away, ${round}`);
      await api('PUT', `/api/messages/${first._id}`, { token: ann.token, body: { text: `edited, ${round}` }, status: 200 });
      await api('PUT', `/api/messages/${second._id}/reactions`, { token: bob.token, body: { emoji: ['👍', '🎉', '❤️'][round] }, status: 200 });
      if (round === 2) await api('DELETE', `/api/messages/${first._id}`, { token: ann.token, status: 200 });
      await until(`everything of round ${round}`, agrees);
    }
    const third = await ann.say(bob, 'not for me');
    await until('one more', agrees);
    socket.io.engine.close();
    await api('DELETE', `/api/messages/${third._id}?for=me`, { token: bob.token, status: 200 });
    await until('one less', agrees);
    assert.equal(reloads, 0);
  } finally {
    socket.disconnect();
  }
});

withToken('a cursor that is worth nothing is said to be so', async () => {
  const [ann, bob] = await friends();
  for (const since of ['garbage', await cursorOf(ann)]) {
    const kept = { since, messages: new Map() };
    let reloads = 0;
    const socket = connect(BASE, bob.token, kept, () => (reloads += 1));
    try {
      await until('the advice to load again', () => reloads === 1);
      await until('a cursor of his own', () => kept.since !== since);
    } finally {
      socket.disconnect();
    }
  }
});

async function cursorOf(person) {
  const kept = { messages: new Map() };
  const socket = connect(BASE, person.token, kept, () => {});
  await until('a cursor', () => kept.since);
  socket.disconnect();
  return kept.since;
}

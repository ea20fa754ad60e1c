// Who is let in, and how long.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AUTH, BASE, DEADLINE, Line, Person, TRANSPORT, api, fence, friends, heard, people, rawSocket, refusal, until } from './lib.mjs';

function assertRefused(error, code) {
  assert.equal(error.data?.code, code, `${error} ${JSON.stringify(error.data)}`);
  assert.ok(/\S+ \S+/.test(error.message), `a sentence: ${error.message}`);
}

test('without a token nobody is let in', async () => {
  assertRefused(await refusal(), 'unauthenticated');
  assertRefused(await refusal({ auth: {} }), 'unauthenticated');
});

test('with a bad token nobody is let in', async () => {
  const ann = await Person.signup();
  for (const token of ['', 'x', 'a.b.c', `${ann.token}x`, ann.token.slice(0, -12)]) {
    assertRefused(await refusal({ token }), 'unauthenticated');
  }
  for (const auth of [{ token: 5 }, { token: null }, { token: ['x'] }, { token: { $ne: '' } }, { other: 'x' }]) {
    assertRefused(await refusal({ auth }), 'unauthenticated');
  }
});

test('a token that was logged out is a bad token', async () => {
  const ann = await Person.signup();
  await api('POST', '/api/auth/logout', { token: ann.token, body: {}, status: 200 });
  assertRefused(await refusal({ token: ann.token }), 'unauthenticated');
});

test('a page of a foreign site is not let in', async () => {
  const ann = await Person.signup();
  for (const origin of ['https://evil.example', 'null', `${BASE}.evil.example`]) {
    assertRefused(await refusal({ token: ann.token, headers: { origin } }), 'origin_denied');
  }
});

test('a page of the own site is let in', async () => {
  const ann = await Person.signup();
  const line = await Line.open(ann, { headers: { origin: BASE } });
  assert.equal(line.closed, undefined);
});

test('a refused socket can try again with a good token', async () => {
  const ann = await Person.signup();
  assertRefused(await refusal({ token: 'x' }), 'unauthenticated');
  await Line.open(ann);
});

test('the transport is the one that is tested', async () => {
  const line = await Line.open(await Person.signup());
  assert.equal(line.socket.io.engine.transport.name, TRANSPORT === 'polling' ? 'polling' : 'websocket');
});

test('another namespace is no way in', async () => {
  const ann = await Person.signup();
  const line = await Line.open(ann);
  const other = line.socket.io.socket('/admin', { auth: AUTH === 'token' ? { token: ann.token } : {} });
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('neither connected nor refused')), DEADLINE);
    const settle = (end) => (value) => { clearTimeout(timer); end(value); };
    other.once('connect', settle(() => reject(new Error('it was let in'))));
    other.once('connect_error', settle(resolve));
    other.connect();
  });
  await line.refused('sendMessage', {}, 'validation_failed');
});

test('logout closes the sockets of that token and no others', async () => {
  const [ann, bob] = await friends();
  const phone = await ann.login();
  const [onPhone, alsoOnPhone, onLaptop, bobs] = [await Line.open(phone), await Line.open(phone), await Line.open(ann), await Line.open(bob)];
  await api('POST', '/api/auth/logout', { token: phone.token, body: {}, status: 200 });
  for (const line of [onPhone, alsoOnPhone]) await until('the socket to be closed', () => line.closed);
  await bob.say(ann, 'who is there?');
  await onLaptop.wait('sendMessage', (message) => message.text === 'who is there?');
  await onLaptop.do('sendMessage', { receiverId: bob.id, text: 'me' });
  assert.equal(onLaptop.closed, undefined);
  assert.equal(bobs.closed, undefined);
  assert.deepEqual(heard(onPhone), []);
});

test('two people on one machine are two people', async () => {
  const [ann, bob] = await people(2);
  const [anns, bobs] = [await Line.open(ann), await Line.open(bob)];
  const sent = await anns.do('sendMessage', { receiverId: bob.id, text: 'x' });
  assert.equal(sent.senderId, ann.id);
  assert.equal((await bobs.do('sendMessage', { receiverId: ann.id, text: 'y' })).senderId, bob.id);
  await fence([ann, anns], [bob, bobs]);
});

test('a socket that goes away at once does no harm', async () => {
  const ann = await Person.signup();
  for (let i = 0; i < 20; i += 1) {
    const socket = rawSocket({ token: ann.token });
    socket.connect();
    socket.disconnect();
  }
  await Line.open(ann);
});

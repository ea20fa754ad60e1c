// Who is online, who hears of it, and who is typing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Line, NOBODY, Person, api, fence, friends, people, until } from './lib.mjs';

const of = (person, isOnline) => (event) => event.userId === person.id && event.isOnline === isOnline;

/** Somebody who shares a chat with each of these. */
async function friendOf(...others) {
  const person = await Person.signup();
  for (const other of others) await person.say(other, 'hello');
  return person;
}

test('a partner comes and goes', async () => {
  const [ann, bob] = await friends();
  const bobs = await Line.open(bob);
  const anns = await Line.open(ann);
  const came = await bobs.wait('presence', of(ann, true));
  assert.deepEqual(Object.keys(came).sort(), ['isOnline', 'lastSeen', 'userId']);
  assert.match(came.lastSeen, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  await until('her to be online', async () => (await ann.me()).isOnline);
  anns.close();
  const went = await bobs.wait('presence', of(ann, false));
  assert.ok(went.lastSeen >= came.lastSeen);
  await until('her to be offline', async () => !(await ann.me()).isOnline);
  const { data } = await api('GET', '/api/messages/contacts?limit=200', { token: bob.token, status: 200 });
  const seen = data.find((user) => user._id === ann.id);
  assert.deepEqual([seen.isOnline, seen.lastSeen], [false, went.lastSeen]);
});

test('only those who share a chat hear of it', async () => {
  const [ann, bob] = await friends();
  const eve = await Person.signup();
  const [bobs, eves] = [await Line.open(bob), await Line.open(eve)];
  const anns = await Line.open(ann);
  await bobs.wait('presence', of(ann, true));
  anns.close();
  await bobs.wait('presence', of(ann, false));
  await fence([eve, eves]);
  assert.deepEqual(eves.all('presence', (event) => event.userId === ann.id), []);
});

test('a new socket is told once who of the partners is online', async () => {
  const [ann, bob] = await friends();
  const [carol, eve] = [await friendOf(bob), await Person.signup()];
  const [anns] = [await Line.open(ann), await Line.open(eve)];
  const bobs = await Line.open(bob);
  await fence([bob, bobs]);
  assert.deepEqual(bobs.all('onlineUsers'), [[ann.id]]);
  await Line.open(carol);
  const again = await Line.open(bob);
  assert.deepEqual(again.all('onlineUsers').map((ids) => ids.sort()), [[ann.id, carol.id].sort()]);
  assert.equal(anns.all('onlineUsers').length, 1);
});

test('a partner made after the connection is heard of as well', async () => {
  const [ann, bob] = await people(2);
  const bobs = await Line.open(bob);
  await bob.say(ann, 'hello');
  const anns = await Line.open(ann);
  await bobs.wait('presence', of(ann, true));
  anns.close();
  await bobs.wait('presence', of(ann, false));
});

test('one of two sockets may go', async () => {
  const [ann, bob] = await friends();
  const carol = await friendOf(bob);
  const [bobs, first, second, carols] = [await Line.open(bob), await Line.open(ann), await Line.open(await ann.login()), await Line.open(carol)];
  await bobs.wait('presence', of(ann, true));
  first.close();
  // Carol goes after it: when she is said to be offline, the grace of the first socket is over as well.
  carols.close();
  await bobs.wait('presence', of(carol, false));
  assert.deepEqual(bobs.all('presence', of(ann, false)), []);
  assert.equal((await ann.me()).isOnline, true);
  assert.equal(bobs.all('presence', of(ann, true)).length, 1, 'the second socket is no news');
  second.close();
  await bobs.wait('presence', of(ann, false));
});

test('a reload is not a departure', async () => {
  const [ann, bob] = await friends();
  const carol = await friendOf(bob);
  const [bobs, anns, carols] = [await Line.open(bob), await Line.open(ann), await Line.open(carol)];
  await bobs.wait('presence', of(ann, true));
  anns.close();
  await Line.open(ann);
  carols.close();
  await bobs.wait('presence', of(carol, false));
  assert.deepEqual(bobs.all('presence', of(ann, false)), []);
  assert.equal((await ann.me()).isOnline, true);
});

test('logout is a departure', async () => {
  const [ann, bob] = await friends();
  const bobs = await Line.open(bob);
  await Line.open(ann);
  await bobs.wait('presence', of(ann, true));
  await api('POST', '/api/auth/logout', { token: ann.token, body: {}, status: 200 });
  await bobs.wait('presence', of(ann, false));
});

test('typing is heard by the receiver only', async () => {
  const [ann, bob] = await friends();
  const eve = await friendOf(ann, bob);
  const [anns, other, bobs, bobs2, eves] = [await Line.open(ann), await Line.open(ann), await Line.open(bob), await Line.open(bob), await Line.open(eve)];
  anns.socket.emit('typing', { receiverId: bob.id, isTyping: true });
  for (const line of [bobs, bobs2]) assert.deepEqual(await line.wait('typing'), { senderId: ann.id, isTyping: true });
  anns.socket.emit('typing', { receiverId: bob.id, isTyping: false });
  for (const line of [bobs, bobs2]) await line.wait('typing', (event) => !event.isTyping);
  await fence([ann, anns, other], [eve, eves]);
  for (const line of [anns, other, eves]) assert.deepEqual(line.all('typing'), []);
});

test('typing ends by itself', async () => {
  const [ann, bob] = await friends();
  const [anns, bobs] = [await Line.open(ann), await Line.open(bob)];
  anns.socket.emit('typing', { receiverId: bob.id, isTyping: true });
  await bobs.wait('typing', (event) => event.isTyping);
  assert.deepEqual(await bobs.wait('typing', (event) => !event.isTyping), { senderId: ann.id, isTyping: false });
});

test('typing to nobody, oneself or a stranger does no harm', async () => {
  const [ann, bob] = await friends();
  const [anns, bobs] = [await Line.open(ann), await Line.open(bob)];
  for (const receiverId of [NOBODY, ann.id, 'xyz', '', null, 5]) anns.socket.emit('typing', { receiverId, isTyping: true });
  const message = await anns.do('sendMessage', { receiverId: bob.id, text: 'still here' });
  assert.deepEqual(await bobs.wait('sendMessage'), message);
  assert.deepEqual(bobs.all('typing'), []);
});

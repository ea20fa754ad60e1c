// Sending and deleting: who hears it, who does not, and in which order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Line, NOBODY, Person, api, assertMessage, fence, friends, heard, people, picture } from './lib.mjs';

test('a message reaches all sockets of the receiver and the other ones of the sender', async () => {
  const [ann, bob, eve] = await people(3);
  const sending = await Line.open(ann);
  const others = [await Line.open(ann), await Line.open(await ann.login()), await Line.open(bob), await Line.open(bob)];
  const eves = await Line.open(eve);
  const message = await sending.do('sendMessage', { receiverId: bob.id, text: 'hi 👋' });
  assertMessage(message);
  assert.deepEqual(
    [message.senderId, message.receiverId, message.text, message.seq, message.clientId, message.isDeleted],
    [ann.id, bob.id, 'hi 👋', 1, null, false],
  );
  await fence([ann, sending, others[0], others[1]], [bob, others[2], others[3]], [eve, eves]);
  for (const line of others) assert.deepEqual(heard(line), [message]);
  assert.deepEqual(heard(sending), [], 'the sending socket has its acknowledgement');
  assert.deepEqual(heard(eves), [], 'it is none of her business');
  assert.deepEqual(await bob.conversation(ann), [message]);
});

test('a message sent over HTTP reaches all sockets of both', async () => {
  const [ann, bob, eve] = await people(3);
  const lines = [await Line.open(ann), await Line.open(ann), await Line.open(bob), await Line.open(bob)];
  const eves = await Line.open(eve);
  const message = await ann.say(bob, 'over http');
  await fence([ann, lines[0], lines[1]], [bob, lines[2], lines[3]], [eve, eves]);
  for (const line of lines) assert.deepEqual(heard(line), [message]);
  assert.deepEqual(heard(eves), []);
});

test('a repeat of a clientId is acknowledged with the first message and not sent again', async () => {
  const [ann, bob] = await people(2);
  const [anns, other, bobs] = [await Line.open(ann), await Line.open(ann), await Line.open(bob)];
  const payload = { receiverId: bob.id, text: 'once', clientId: 'key' };
  const first = await anns.do('sendMessage', payload);
  assert.equal(first.clientId, 'key');
  assert.deepEqual(await anns.do('sendMessage', payload), first);
  assert.deepEqual(await other.do('sendMessage', { ...payload, text: 'other' }), first);
  const overHttp = await api('POST', `/api/messages/send/${bob.id}`, { token: ann.token, body: { text: 'x', clientId: 'key' }, status: 200 });
  assert.deepEqual(overHttp.data, first);
  const replies = await Promise.all(Array.from({ length: 20 }, () => anns.do('sendMessage', payload)));
  for (const reply of replies) assert.deepEqual(reply, first);
  await fence([ann, anns, other], [bob, bobs]);
  assert.deepEqual(heard(bobs), [first]);
  assert.deepEqual(await ann.conversation(bob), [first]);
});

test('twenty new ones with one clientId at once are one message', async () => {
  const [ann, bob] = await people(2);
  const [anns, bobs] = [await Line.open(ann), await Line.open(bob)];
  const payload = { receiverId: bob.id, text: 'once', clientId: 'key' };
  const replies = await Promise.all(Array.from({ length: 20 }, () => anns.do('sendMessage', payload)));
  for (const reply of replies) assert.deepEqual(reply, replies[0]);
  await fence([bob, bobs]);
  assert.deepEqual(heard(bobs), [replies[0]]);
});

test('each mistake is named in the acknowledgement', async () => {
  const [ann, bob] = await people(2);
  const line = await Line.open(ann);
  const receiverId = bob.id;
  const field = async (payload, ...names) => {
    const { fields } = await line.refused('sendMessage', payload, 'validation_failed');
    assert.ok(names.some((name) => typeof fields[name] === 'string'), `${JSON.stringify(payload)}: ${JSON.stringify(fields)}`);
  };
  await field({ text: 'x' }, 'receiverId');
  await field({ receiverId: 5, text: 'x' }, 'receiverId');
  await field({ receiverId: ann.id, text: 'to myself' }, 'receiverId');
  await field({ receiverId }, 'text', 'image');
  await field({ receiverId, text: '', image: '' }, 'text', 'image');
  await field({ receiverId, text: null }, 'text', 'image');
  await field({ receiverId, text: 5 }, 'text');
  await field({ receiverId, text: '😀'.repeat(10_001) }, 'text');
  await field({ receiverId, text: 'x', clientId: 5 }, 'clientId');
  await field({ receiverId, image: 'data:image/png;base64,bm90IGEgcGljdHVyZQ==' }, 'image');
  await field({ receiverId, image: 'data:image/svg+xml;base64,PHN2Zy8+' }, 'image');
  await field({ receiverId, text: 'x', image: ['x'] }, 'image');
  await line.refused('sendMessage', { receiverId: 'xyz', text: 'x' }, 'invalid_id', 'validation_failed');
  await line.refused('sendMessage', { receiverId: NOBODY, text: 'x' }, 'not_found');
  await line.refused('deleteMessage', {}, 'invalid_id', 'validation_failed');
  await line.refused('deleteMessage', { messageId: 'xyz' }, 'invalid_id', 'validation_failed');
  await line.refused('deleteMessage', { messageId: NOBODY }, 'not_found');
  assert.deepEqual(await ann.conversation(bob), []);
  const longest = await line.do('sendMessage', { receiverId, text: '😀'.repeat(10_000) });
  assert.equal(longest.seq, 1);
});

test('texts come as they went', async () => {
  const [ann, bob] = await people(2);
  const [anns, bobs] = [await Line.open(ann), await Line.open(bob)];
  const texts = ['nul \0 inside', '\u202eעברית', '👩‍👩‍👧‍👦', ' \r\n\t ', '"\\', '51-[]', '\u2028'];
  for (const text of texts) assert.equal((await anns.do('sendMessage', { receiverId: bob.id, text })).text, text);
  await fence([bob, bobs]);
  assert.deepEqual(heard(bobs).map((message) => message.text), texts);
});

test('a picture of some megabytes goes through a socket', async () => {
  const [ann, bob] = await people(2);
  const [anns, bobs] = [await Line.open(ann), await Line.open(bob)];
  const message = await anns.do('sendMessage', { receiverId: bob.id, image: picture(900, 900) });
  assert.ok(message.image && !message.image.startsWith('data:') && message.text === null);
  assert.deepEqual(await bobs.wait('sendMessage'), message);
});

test('a delete reaches all sockets of both', async () => {
  const [ann, bob, eve] = await people(3);
  const [anns, other, bobs, eves] = [await Line.open(ann), await Line.open(ann), await Line.open(bob), await Line.open(eve)];
  const message = await anns.do('sendMessage', { receiverId: bob.id, text: 'a mistake' });
  const deleted = await anns.do('deleteMessage', { messageId: message._id });
  assertMessage(deleted);
  assert.deepEqual([deleted._id, deleted.isDeleted, deleted.text, deleted.image, deleted.seq], [message._id, true, null, null, message.seq]);
  for (const line of [anns, other, bobs]) assert.deepEqual(await line.wait('deleteMessage'), deleted);
  await anns.do('deleteMessage', { messageId: message._id });
  await fence([eve, eves]);
  assert.deepEqual(heard(eves, 'deleteMessage'), []);
  assert.deepEqual(await bob.conversation(ann), [deleted]);
});

test('a delete over HTTP reaches all sockets of both', async () => {
  const [ann, bob] = await people(2);
  const lines = [await Line.open(ann), await Line.open(bob)];
  const message = await ann.say(bob, 'a mistake');
  const { data } = await api('DELETE', `/api/messages/${message._id}`, { token: ann.token, status: 200 });
  for (const line of lines) assert.deepEqual(await line.wait('deleteMessage'), data);
});

test('only the sender deletes', async () => {
  const [ann, bob, eve] = await people(3);
  const message = await ann.say(bob, 'mine');
  await (await Line.open(bob)).refused('deleteMessage', { messageId: message._id }, 'forbidden');
  await (await Line.open(eve)).refused('deleteMessage', { messageId: message._id }, 'not_found');
  assert.deepEqual(await ann.conversation(bob), [message]);
});

test('two hundred in a hurry arrive in their order', async () => {
  const [ann, bob] = await people(2);
  const [anns, other, bobs] = [await Line.open(ann), await Line.open(ann), await Line.open(bob)];
  const sent = await Promise.all(
    Array.from({ length: 200 }, (_, i) => anns.do('sendMessage', { receiverId: bob.id, text: String(i), clientId: String(i) })),
  );
  await fence([ann, other], [bob, bobs]);
  const row = Array.from({ length: 200 }, (_, i) => i + 1);
  for (const line of [bobs, other]) assert.deepEqual(heard(line).map((message) => message.seq), row);
  assert.deepEqual(sent.map((message) => message.seq).sort((a, b) => a - b), row);
  assert.deepEqual(heard(bobs), await bob.conversation(ann));
});

test('what both write at the same time both see in one order', async () => {
  const [ann, bob] = await friends();
  const [annWrites, annListens, bobWrites, bobListens] = [await Line.open(ann), await Line.open(ann), await Line.open(bob), await Line.open(bob)];
  await Promise.all(
    Array.from({ length: 60 }, (_, i) =>
      i % 2 === 0 ? annWrites.do('sendMessage', { receiverId: bob.id, text: `a${i}` }) : bobWrites.do('sendMessage', { receiverId: ann.id, text: `b${i}` })),
  );
  await fence([ann, annListens], [bob, bobListens]);
  const row = Array.from({ length: 60 }, (_, i) => i + 3);
  assert.deepEqual(heard(annListens).map((message) => message.seq), row);
  assert.deepEqual(heard(bobListens), heard(annListens));
});

test('the events applied to nothing make what a fetch answers', async () => {
  const [ann, bob] = await people(2);
  const [anns, bobs] = [await Line.open(ann), await Line.open(bob)];
  const ids = [];
  for (let i = 0; i < 10; i += 1) ids.push((await anns.do('sendMessage', { receiverId: bob.id, text: `${i}` }))._id);
  for (const messageId of ids.filter((_, i) => i % 3 === 0)) await anns.do('deleteMessage', { messageId });
  await fence([bob, bobs]);
  const state = new Map();
  for (const { name, args: [message] } of bobs.events) {
    if (name === 'sendMessage' || name === 'deleteMessage') if (message.senderId === ann.id) state.set(message._id, message);
  }
  assert.deepEqual([...state.values()].sort((a, b) => a.seq - b.seq), await bob.conversation(ann));
});

test('somebody who was away finds it later', async () => {
  const [ann, bob] = await people(2);
  const anns = await Line.open(ann);
  const message = await anns.do('sendMessage', { receiverId: bob.id, text: 'for later' });
  assert.deepEqual(await bob.conversation(ann), [message]);
  const bobs = await Line.open(bob);
  await fence([bob, bobs]);
  assert.deepEqual(heard(bobs), [], 'what was before the connection is not an event');
  assert.ok(await Person.signup());
});

// Whatever a client sends, it gets an error or no answer, and its socket stays usable.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Line, assertEnvelope, fence, heard, people } from './lib.mjs';

const deep = () => {
  let value = 1;
  for (let i = 0; i < 100; i += 1) value = { value };
  return value;
};

const garbage = [
  ['a number', 5], ['a negative', -1.5], ['null', null], ['a text', 'x'], ['an empty text', ''], ['true', true], ['a list', []],
  ['a list of lists', [[[]]]], ['an empty object', {}], ['a deep object', deep()], ['a long list', Array(10_000).fill(0)],
  ['__proto__', JSON.parse('{"__proto__":{"receiverId":"x"}}')], ['an operator', { receiverId: { $ne: null }, messageId: { $ne: null }, text: 'x' }],
];

for (const event of ['sendMessage', 'deleteMessage']) {
  test(`${event}: each piece of garbage is answered with an error`, async () => {
    const [ann, bob] = await people(2);
    const line = await Line.open(ann);
    for (const [what, payload] of garbage) {
      const envelope = await line.ask(event, payload);
      assert.equal(envelope.success, false, what);
      assert.ok(['validation_failed', 'invalid_json', 'invalid_id'].includes(envelope.data.code), `${what}: ${envelope.data.code}`);
    }
    assert.equal((await line.ask(event)).success, false, 'no payload');
    assert.equal((await line.ask(event, 1, 2, 3)).success, false, 'too many');
    assert.equal((await line.do('sendMessage', { receiverId: bob.id, text: 'still here' })).seq, 1);
  });
}

test('without an acknowledgement it is ignored', async () => {
  const [ann, bob] = await people(2);
  const [line, bobs] = [await Line.open(ann), await Line.open(bob)];
  for (const event of ['sendMessage', 'deleteMessage', 'typing']) {
    line.socket.emit(event);
    for (const [, payload] of garbage) line.socket.emit(event, payload);
  }
  const message = await line.do('sendMessage', { receiverId: bob.id, text: 'still here' });
  await fence([bob, bobs]);
  assert.deepEqual(heard(bobs), [message]);
  assert.deepEqual(bobs.all('typing'), []);
});

test('a message without an acknowledgement is sent all the same', async () => {
  const [ann, bob] = await people(2);
  const [line, bobs] = [await Line.open(ann), await Line.open(bob)];
  line.socket.emit('sendMessage', { receiverId: bob.id, text: 'no answer needed' });
  assert.equal((await bobs.wait('sendMessage')).text, 'no answer needed');
});

test('binary payloads are an error or ignored', async () => {
  const [ann, bob] = await people(2);
  const line = await Line.open(ann);
  const answers = [];
  const bytes = Buffer.from([0, 1, 2, 255]);
  for (const payload of [bytes, { receiverId: bytes }, { receiverId: bob.id, text: bytes }, { receiverId: bob.id, image: bytes }, [bytes, bytes]]) {
    line.socket.emit('sendMessage', payload, (answer) => answers.push(answer));
    line.socket.emit('typing', payload);
    line.socket.emit('nonsense', payload);
  }
  const message = await line.do('sendMessage', { receiverId: bob.id, text: 'still here' });
  for (const answer of answers) {
    assertEnvelope(answer);
    assert.equal(answer.success, false);
  }
  assert.deepEqual(await ann.conversation(bob), [message]);
});

test('unknown events are ignored, and nobody can speak for the server', async () => {
  const [ann, bob] = await people(2);
  const [line, bobs] = [await Line.open(ann), await Line.open(bob)];
  for (const event of ['nonsense', '', 'presence', 'onlineUsers', 'join', 'message', 'send', '__proto__', 'x'.repeat(1000), '😀']) {
    line.socket.emit(event, { userId: bob.id, receiverId: bob.id, isOnline: false, text: 'x' });
    line.socket.emit(event, { userId: bob.id }, () => {});
  }
  const message = await line.do('sendMessage', { receiverId: bob.id, text: 'still here' });
  await fence([bob, bobs]);
  assert.deepEqual(heard(bobs), [message]);
  assert.deepEqual(bobs.all('presence', (event) => event.userId === bob.id), []);
  assert.equal(line.closed, undefined);
});

test('the sender is who signed in, whatever the payload says', async () => {
  const [ann, bob, eve] = await people(3);
  const line = await Line.open(ann);
  const message = await line.do('sendMessage', {
    receiverId: bob.id, text: 'x', senderId: eve.id, seq: 99, _id: '0123456789abcdef01234567', isDeleted: true, chatId: 'mine',
  });
  assert.deepEqual([message.senderId, message.seq, message.isDeleted], [ann.id, 1, false]);
  assert.ok(message._id !== '0123456789abcdef01234567' && message.chatId !== 'mine');
});

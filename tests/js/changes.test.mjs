// Editing, answering, reacting, deleting for oneself, receipts: over the socket, with cursors beside what is told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Line, NOBODY, api, assertMessage, fence, friends, people } from './lib.mjs';

/** The cursor that came with this event. */
const cursorOf = (line, name) => line.events.find((event) => event.name === name).args[1]?.cursor;

test('an edit reaches all sockets of both', async () => {
  const [ann, bob, eve] = await people(3);
  const [anns, other, bobs, eves] = [await Line.open(ann), await Line.open(ann), await Line.open(bob), await Line.open(eve)];
  const message = await anns.do('sendMessage', { receiverId: bob.id, text: 'helo' });
  const edited = await anns.do('editMessage', { messageId: message._id, text: 'hello' });
  assertMessage(edited);
  assert.deepEqual(edited, { ...message, text: 'hello', isEdited: true, updatedAt: edited.updatedAt });
  for (const line of [anns, other, bobs]) assert.deepEqual(await line.wait('editMessage'), edited);
  await fence([eve, eves]);
  assert.deepEqual(eves.all('editMessage'), []);
  assert.deepEqual(await bob.conversation(ann), [edited]);
  const bobsOwn = await Line.open(bob);
  await bobsOwn.refused('editMessage', { messageId: message._id, text: 'mine' }, 'forbidden');
  await eves.refused('editMessage', { messageId: message._id, text: 'mine' }, 'not_found');
  await anns.refused('editMessage', { messageId: NOBODY, text: 'x' }, 'not_found');
  for (const wrong of [{}, { messageId: message._id }, { messageId: message._id, text: '' }, { messageId: message._id, text: 5 }, { messageId: 'x', text: 'x' }]) {
    await anns.refused('editMessage', wrong, 'validation_failed');
  }
  await anns.do('deleteMessage', { messageId: message._id });
  await anns.refused('editMessage', { messageId: message._id, text: 'x' }, 'not_found');
});

test('an answer says to what', async () => {
  const [ann, bob, eve] = await people(3);
  const [anns, bobs] = [await Line.open(ann), await Line.open(bob)];
  const question = await anns.do('sendMessage', { receiverId: bob.id, text: 'a question' });
  const elsewhere = await anns.do('sendMessage', { receiverId: eve.id, text: 'elsewhere' });
  const answer = await bobs.do('sendMessage', { receiverId: ann.id, text: 'an answer', replyTo: question._id });
  assert.equal(answer.replyTo, question._id);
  assert.deepEqual(await anns.wait('sendMessage', ({ _id }) => _id === answer._id), answer);
  for (const replyTo of [elsewhere._id, NOBODY, 'x', '', 5]) {
    const { fields } = await bobs.refused('sendMessage', { receiverId: ann.id, text: 'x', replyTo }, 'validation_failed');
    assert.deepEqual(Object.keys(fields), ['replyTo']);
  }
});

test('reactions reach all sockets of both', async () => {
  const [ann, bob] = await people(2);
  const [anns, bobs] = [await Line.open(ann), await Line.open(bob)];
  const message = await anns.do('sendMessage', { receiverId: bob.id, text: 'what do you think?' });
  const react = { messageId: message._id, emoji: '👍' };
  const { reactions, updatedAt } = await bobs.do('react', react);
  assert.deepEqual(reactions, [{ userId: bob.id, emoji: '👍' }]);
  const told = { messageId: message._id, chatId: message.chatId, reactions, updatedAt };
  for (const line of [anns, bobs]) assert.deepEqual(await line.wait('reactions'), told);
  assert.deepEqual((await bobs.do('react', { ...react, isOn: true })).updatedAt, updatedAt, 'again changes nothing');
  assert.deepEqual((await bobs.do('react', { ...react, isOn: false })).reactions, []);
  await anns.wait('reactions', (event) => event.reactions.length === 0);
  for (const wrong of [{ emoji: 'x' }, { emoji: '' }, { emoji: 5 }, { emoji: undefined }, { isOn: 'yes' }, { messageId: 'x' }]) {
    await bobs.refused('react', { ...react, ...wrong }, 'validation_failed');
  }
  await (await Line.open((await people(1))[0])).refused('react', react, 'not_found');
});

test('what is deleted for oneself is gone on all of one\'s sockets', async () => {
  const [ann, bob] = await people(2);
  const [anns, bobs, other] = [await Line.open(ann), await Line.open(bob), await Line.open(bob)];
  const message = await anns.do('sendMessage', { receiverId: bob.id, text: 'not for him' });
  for (let i = 0; i < 2; i += 1) assert.equal(await bobs.do('hideMessage', { messageId: message._id }), null);
  const told = { messageId: message._id, chatId: message.chatId, senderId: ann.id, seq: message.seq };
  for (const line of [bobs, other]) assert.deepEqual(await line.wait('hideMessage'), told);
  await fence([ann, anns]);
  assert.deepEqual(anns.all('hideMessage'), []);
  assert.deepEqual([await bob.conversation(ann), await ann.conversation(bob)], [[], [message]]);
  await bobs.refused('hideMessage', { messageId: NOBODY }, 'not_found');
  await bobs.refused('hideMessage', {}, 'validation_failed');
});

test('receipts go to the other one, and what is read to one\'s own devices', async () => {
  const [ann, bob, eve] = await people(3);
  const [anns, bobs, other] = [await Line.open(ann), await Line.open(bob), await Line.open(bob)];
  const { chatId } = await anns.do('sendMessage', { receiverId: bob.id, text: 'one' });
  await anns.do('sendMessage', { receiverId: bob.id, text: 'two' });
  assert.deepEqual(await bobs.do('messagesDelivered', { chatId }), { chatId, seq: 2 });
  assert.deepEqual(await anns.wait('messagesDelivered'), { chatId, userId: bob.id, seq: 2 });
  assert.deepEqual(await bobs.do('messagesRead', { chatId, seq: 1 }), { chatId, seq: 1, unread: 1 });
  for (const line of [anns, other]) assert.deepEqual(await line.wait('messagesRead'), { chatId, userId: bob.id, seq: 1 });
  const { data } = await api('GET', '/api/messages/chats', { token: ann.token, status: 200 });
  assert.deepEqual([data[0].deliveredSeq, data[0].readSeq], [2, 1]);
  const eves = await Line.open(eve);
  for (const name of ['messagesDelivered', 'messagesRead']) {
    await eves.refused(name, { chatId }, 'not_found');
    await bobs.refused(name, { chatId: 'x' }, 'validation_failed');
    await bobs.refused(name, { chatId, seq: -1 }, 'validation_failed');
  }
});

test('what changes something has a cursor, and what passes has none', async () => {
  const [ann, bob] = await friends();
  const [anns, bobs] = [await Line.open(ann), await Line.open(bob)];
  const { _id: messageId } = await anns.do('sendMessage', { receiverId: bob.id, text: 'one' });
  await anns.do('editMessage', { messageId, text: 'two' });
  await anns.do('react', { messageId, emoji: '👍' });
  await anns.do('deleteMessage', { messageId });
  await bobs.do('hideMessage', { messageId });
  anns.socket.emit('typing', { receiverId: bob.id, isTyping: true });
  await bobs.wait('typing');
  const names = ['onlineUsers', 'sendMessage', 'editMessage', 'reactions', 'deleteMessage', 'hideMessage'];
  const cursors = names.map((name) => cursorOf(bobs, name));
  for (const cursor of cursors) assert.match(cursor, /^[A-Za-z0-9_-]{1,32}$/);
  assert.equal(new Set(cursors).size, cursors.length, 'each moves it');
  for (const { name, args } of bobs.events) assert.equal(args.length, ['typing', 'presence'].includes(name) ? 1 : 2, name);
});

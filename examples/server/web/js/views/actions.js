// What can be done with a message that is there.

import { ask } from '../api.js';
import { button, el } from '../dom.js';
import { EMOJI, QUICK } from '../emoji.js';
import { isOwn, mergeMessage, removeMessage } from '../state.js';
import { attempt, complain, confirm, openMenu, openPanel } from './popups.js';

const change = (method, path, body) => attempt(async () => mergeMessage((await ask(method, path, body)).data));

export function react({ _id }, emoji, isOn) {
  if (isOn) return change('PUT', `messages/${_id}/reactions`, { emoji });
  return change('DELETE', `messages/${_id}/reactions?emoji=${encodeURIComponent(emoji)}`);
}

async function deleteFor(message, everyone) {
  const [verb, question] = everyone
    ? ['Delete for everyone', 'Nobody will be able to read this message any more.']
    : ['Delete for me', 'You won’t see this message any more, on any device. Others will.'];
  if (!(await confirm(verb, question))) return;
  if (everyone) await change('DELETE', `messages/${message._id}`);
  else if (await attempt(() => ask('DELETE', `messages/${message._id}?for=me`))) removeMessage({ messageId: message._id, chatId: message.chatId });
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    complain('This browser does not let the page copy. Select the text instead.');
  }
}

/** Buttons with emoji; `choose` gets the one. */
export function emojiButtons(emoji, choose) {
  return el('div', { class: 'emoji' }, emoji.map((one) => button(one, () => choose(one), '')));
}

/** All groups of them. */
export function allEmoji(choose) {
  return Object.entries(EMOJI).map(([name, emoji]) => [el('h2', {}, name), emojiButtons(emoji.split(' '), choose)]);
}

function chooseReaction(message, anchor) {
  const choose = (emoji) => {
    panel.hidePopover();
    react(message, emoji, true);
  };
  const panel = openPanel(anchor, 'React', [emojiButtons(QUICK, choose), el('details', {}, el('summary', {}, 'More'), allEmoji(choose))]);
}

/** `composer` is where answers and edits are written, `history` where what was answered stands. */
export function messageMenu(message, anchor, article, composer, history) {
  const isThere = !message.isDeleted;
  const has = (condition, ...item) => condition && item;
  openMenu(anchor, 'Message actions', [
    has(isThere, 'Reply', () => composer.reply(message)),
    has(isThere, 'React', () => chooseReaction(message, anchor)),
    has(isThere && message.replyTo, 'Show what it answers', () => history.reveal(message.replyTo)),
    has(isThere && isOwn(message) && message.text, 'Edit', () => composer.edit(message)),
    has(isThere && message.text, 'Copy', () => copy(message.text)),
    ['Delete for me', () => deleteFor(message, false)],
    has(isThere && isOwn(message), 'Delete for everyone', () => deleteFor(message, true), 'danger'),
  ], article);
}

// One message: its article, made and made anew.

import { button, el, fill, icon, iconButton, told } from '../dom.js';
import { localPictures, discard, tryAgain } from '../outbox.js';
import { isOwn, state } from '../state.js';
import { isOnlyEmoji, summary, withLinks } from '../text.js';
import { clock, dayLabel } from '../time.js';
import { openDialog } from './popups.js';

const TICKS = {
  pending: ['Waiting', 'clock'],
  failed: ['Not sent', 'warn'],
  sent: ['Sent', 'check'],
  delivered: ['Delivered', 'checks'],
  read: ['Read', 'checks'],
};

/** The state of a message, or of what waits to become one. */
export function tickOf(message, chat) {
  if (!message._id) return message.failed ? 'failed' : 'pending';
  if (message.seq <= (chat?.readSeq ?? 0)) return 'read';
  return message.seq <= (chat?.deliveredSeq ?? 0) ? 'delivered' : 'sent';
}

export function tick(state) {
  const [label, drawing] = TICKS[state];
  return el('span', { class: `tick ${state}`, role: 'img', 'aria-label': label, title: label }, icon(drawing));
}

/** A message that waits counts as one's own. */
export const isMine = (message) => !message._id || isOwn(message);
export const nameOf = (message) => (isMine(message) ? 'You' : state.users.get(message.senderId)?.fullName ?? '');

function openPicture(src) {
  openDialog('Picture', el('img', { src, alt: 'Picture' }), { className: 'viewer' });
}

/** In a box whose size is known before the picture is: so nothing moves when it comes. */
function picture(article, message) {
  const src = localPictures.get(message.clientId) ?? message.image;
  const old = article.querySelector('.picture');
  if (old?.dataset.src === src) return old;
  if (!src) return undefined;
  const image = el('img', { src, alt: `Picture from ${isMine(message) ? 'you' : nameOf(message)}`, loading: 'lazy', decoding: 'async' });
  return el('button', { class: 'picture', data: { src }, 'aria-label': 'Open the picture', on: { click: () => openPicture(src) } }, image);
}

/** What a message answers, as far as that is loaded. */
export function quote(id, conversation, attributes) {
  const answered = conversation?.byId.get(id);
  return el('blockquote', { ...attributes, data: { quotes: id } },
    el('b', {}, answered ? nameOf(answered) : 'An earlier message'), el('span', {}, answered ? summary(answered) : ''));
}

function reactions(message, act) {
  const counts = new Map();
  for (const { emoji, userId } of message.reactions ?? []) {
    const one = counts.get(emoji) ?? { count: 0, own: false };
    counts.set(emoji, { count: one.count + 1, own: one.own || userId === state.me._id });
  }
  if (!counts.size) return undefined;
  return el('div', { class: 'reactions' }, [...counts].map(([emoji, { count, own }]) => el('button', {
    'aria-pressed': String(own), on: { click: () => act.react(message, emoji, !own) },
  }, el('span', { class: 'one' }, emoji), ` ${count}`)));
}

function failure(entry) {
  return el('div', { class: 'failure' }, el('span', {}, entry.failed),
    button('Try again', () => tryAgain(entry), 'link'), button('Discard', () => discard(entry), 'link'));
}

export function progressBar(entry) {
  const percent = Math.round((entry.progress ?? 0) * 100);
  const bar = el('div', { class: 'progress', role: 'progressbar', 'aria-label': 'Upload', 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': percent });
  bar.style.setProperty('--done', `${percent}%`);
  return bar;
}

/** Fills the article of a message. `act`: what can be done with it. */
export function fillMessage(article, message, chat, conversation, act) {
  const mine = isMine(message);
  const at = mine ? tickOf(message, chat) : undefined;
  const hadFocus = article.contains(document.activeElement);
  article.className = `message ${mine ? 'own' : 'other'} ${article.classList.contains('first') ? 'first' : ''}`;
  article.setAttribute('aria-label', `${nameOf(message)}, ${clock(message.createdAt)}`);
  const { dataset } = article;
  for (const [name, value] of Object.entries({ id: message._id, seq: message.seq, clientId: message.clientId, state: at })) {
    if (value === undefined || value === null) delete dataset[name];
    else dataset[name] = value;
  }
  const isGone = message.isDeleted || message.unreadable;
  const text = isGone ? summary(message) : message.text;
  const isLarge = !isGone && text && !message.image && !message.hasPicture && isOnlyEmoji(text);
  const shown = !isGone && picture(article, message);
  const bubble = el('div', { class: `bubble ${isGone ? 'gone' : ''} ${isLarge ? 'large' : ''} ${shown ? 'pictured' : ''}` },
    !isGone && message.replyTo && quote(message.replyTo, conversation, { class: 'quote', on: { click: () => act.reveal(message.replyTo) } }),
    shown,
    !message._id && message.hasPicture && !message.failed && progressBar(message),
    el('div', { class: 'words' },
      text && el('p', { dir: 'auto' }, isGone ? text : withLinks(text)),
      el('span', { class: 'meta' }, message.isEdited && !isGone && el('span', {}, 'edited '),
        el('time', { datetime: message.createdAt }, clock(message.createdAt)), mine && !isGone && tick(at))),
    message.failed && failure(message));
  const more = message._id && iconButton('dots', 'Message actions', (event) => act.menu(message, event.currentTarget, article), { tabindex: -1, class: 'icon-button more', 'aria-haspopup': 'menu' });
  fill(article, bubble, more, !isGone && reactions(message, act));
  if (hadFocus && !article.contains(document.activeElement)) article.focus({ preventScroll: true });
}

/** Only how far it has got. */
export function fillTick(article, message, chat) {
  const at = tickOf(message, chat);
  if (article.dataset.state === at) return;
  article.dataset.state = at;
  article.querySelector('.meta .tick')?.replaceWith(tick(at));
}

export const newArticle = () => el('article', { class: 'message', tabindex: -1 });

export const dayLine = (time) => nameDay(el('div', { class: 'day', role: 'separator', data: { time } }, el('span')));

/** Again and again, because what is today will be yesterday. */
export function nameDay(line) {
  const label = dayLabel(line.dataset.time);
  if (line.ariaLabel !== label) line.firstChild.textContent = line.ariaLabel = label;
  return line;
}

export const newLine = () => el('div', { class: 'new-line', role: 'separator', 'aria-label': 'New messages' }, el('span', {}, 'New messages'));
export const loadingLine = () => el('div', { class: 'skeleton bubbles' }, told('Loading…'), el('i'), el('i'), el('i'), el('i'));
export const downIcon = () => icon('down');

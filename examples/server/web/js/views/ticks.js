// How far a message of one's own has got.

import { el, icon } from '../dom.js';

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

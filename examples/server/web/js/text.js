// What people write, as nodes: text, and links that lead where they say.

import { el } from './dom.js';

const LINK = /\bhttps?:\/\/[^\s<>"]+/giu;

/** What stands behind a link rather than being part of it: the end of a sentence, a parenthesis around it. */
function trimmed(link) {
  let end = link.length;
  for (;;) {
    const last = link[end - 1];
    const opens = last === ')' && link.slice(0, end).split('(').length > link.slice(0, end - 1).split(')').length;
    if (!/[.,;:!?'’”)\]}*_~]/u.test(last) || opens) return link.slice(0, end);
    end -= 1;
  }
}

/** Whether a browser can follow it over HTTP, and nothing else. */
function isLink(link) {
  try {
    return ['http:', 'https:'].includes(new URL(link).protocol);
  } catch {
    return false;
  }
}

export function withLinks(text) {
  const nodes = [];
  let at = 0;
  for (const { 0: found, index } of text.matchAll(LINK)) {
    const link = trimmed(found);
    if (!isLink(link)) continue;
    nodes.push(text.slice(at, index), el('a', { href: link, rel: 'noopener noreferrer nofollow', target: '_blank' }, link));
    at = index + link.length;
  }
  return [...nodes, text.slice(at)];
}

const FEW_EMOJI = /^\p{RGI_Emoji}{1,3}$/v;

/** Whether it is to be shown large. */
export const isOnlyEmoji = (text) => FEW_EMOJI.test(text);

/** A message in a line: for lists, answers and notifications. */
export function summary({ text, image, hasPicture, isDeleted, unreadable }) {
  if (isDeleted) return 'This message was deleted';
  if (unreadable) return 'This message can’t be read';
  const picture = image || hasPicture;
  if (picture) return text ? `📷 ${text}` : '📷 Picture';
  return text ?? '';
}

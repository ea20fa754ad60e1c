// Telling that one writes: when it begins, while it goes on, and when it ends.

import { say } from './sync.js';

/** The server forgets it after 6 s. */
const REPEAT = 4000;
const IDLE = 5000;

let told; // { to, at }
let timer;

export function typed(to) {
  clearTimeout(timer);
  timer = setTimeout(stopped, IDLE);
  if (told?.to === to && Date.now() - told.at < REPEAT) return;
  if (told && told.to !== to) stopped();
  told = { to, at: Date.now() };
  say('typing', { receiverId: to, isTyping: true });
}

export function stopped() {
  clearTimeout(timer);
  if (told) say('typing', { receiverId: told.to, isTyping: false });
  told = undefined;
}

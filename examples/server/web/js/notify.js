// What is told outside of the page's view: the title, and notifications when asked for.

import { on, state, totalUnread } from './state.js';
import { summary } from './text.js';

on('chats', () => {
  const unread = totalUnread();
  const title = unread ? `(${unread}) Chat` : 'Chat';
  if (document.title !== title) document.title = title;
});

/** Whether it makes sense to offer them. Browsers have them on pages with HTTPS, and on this machine. */
export const canAsk = () => 'Notification' in window && isSecureContext && Notification.permission === 'default';

export const askForNotifications = () => Notification.requestPermission();

export const isLookedAt = () => document.visibilityState === 'visible' && document.hasFocus();

/** Tells of a message, unless its conversation is before the person's eyes. One notification for each sender. */
export function alertOf(message) {
  if (!('Notification' in window) || Notification.permission !== 'granted') return;
  // Another tab, where it may be seen, has the time to say that it is read.
  setTimeout(() => tellOf(message), 500);
}

function tellOf(message) {
  const sender = state.users.get(message.senderId);
  if (!state.chats.get(sender?._id)?.unread || state.blocked.has(sender._id) || (isLookedAt() && state.open === sender._id)) return;
  try {
    const options = { body: summary(message), tag: `chat-${sender._id}`, icon: sender.profilePic || undefined };
    const notification = new Notification(sender.fullName, options);
    notification.onclick = () => {
      window.focus();
      location.hash = `chat=${sender._id}`;
      notification.close();
    };
  } catch {
    // Phones have them for service workers only.
  }
}

// Times as people read them, in their own language and zone.

const format = (options) => new Intl.DateTimeFormat(undefined, options);
const clockFormat = format({ hour: '2-digit', minute: '2-digit' });
const dayFormat = format({ weekday: 'long', day: 'numeric', month: 'long' });
const yearFormat = format({ day: 'numeric', month: 'long', year: 'numeric' });
const weekdayFormat = format({ weekday: 'short' });
const shortFormat = format({ day: '2-digit', month: '2-digit', year: '2-digit' });
export const momentFormat = format({ dateStyle: 'medium', timeStyle: 'short' });

const DAY = 24 * 60 * 60 * 1000;
const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
/** Days between two days, whatever the clock did in between. */
const daysAgo = (date) => Math.round((midnight(new Date()) - midnight(date)) / DAY);

export const clock = (time) => clockFormat.format(new Date(time));
export const dayKey = (time) => midnight(new Date(time)).getTime();

export function dayLabel(time) {
  const date = new Date(time);
  const ago = daysAgo(date);
  if (ago === 0) return 'Today';
  if (ago === 1) return 'Yesterday';
  return (date.getFullYear() === new Date().getFullYear() ? dayFormat : yearFormat).format(date);
}

/** For a list: as short as it can be told. */
export function shortTime(time) {
  const date = new Date(time);
  const ago = daysAgo(date);
  if (ago <= 0) return clockFormat.format(date);
  if (ago === 1) return 'Yesterday';
  return (ago < 7 ? weekdayFormat : shortFormat).format(date);
}

export function lastSeen(time) {
  const ago = daysAgo(new Date(time));
  const day = ago <= 0 ? 'today' : ago === 1 ? 'yesterday' : `on ${shortFormat.format(new Date(time))}`;
  return `last seen ${day} at ${clock(time)}`;
}

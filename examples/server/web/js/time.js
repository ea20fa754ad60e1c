// Times as people read them, in their own language and zone.

const format = (options) => {
  const made = new Intl.DateTimeFormat(undefined, options);
  return (time) => made.format(new Date(time));
};
const day = format({ weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
const weekday = format({ weekday: 'short' });
const short = format({ dateStyle: 'short' });

export const clock = format({ timeStyle: 'short' });
export const moment = format({ dateStyle: 'medium', timeStyle: 'short' });
export const dayKey = (time) => new Date(time).setHours(0, 0, 0, 0);

/** Days since then, whatever the clock did in between; a clock that is fast is of today. */
const ago = (time) => Math.max(0, Math.round((dayKey(Date.now()) - dayKey(time)) / (24 * 60 * 60 * 1000)));

export const dayLabel = (time) => ['Today', 'Yesterday'][ago(time)] ?? day(time);

/** For a list: as short as it can be told. */
export function shortTime(time) {
  const days = ago(time);
  return [clock(time), 'Yesterday'][days] ?? (days < 7 ? weekday : short)(time);
}

export const lastSeen = (time) => `last seen ${['today', 'yesterday'][ago(time)] ?? `on ${short(time)}`} at ${clock(time)}`;

// What tabs of one browser tell each other, beside what each hears on its socket: who is signed in, and their profile.

const channel = 'BroadcastChannel' in window ? new BroadcastChannel('chat') : undefined;

/** `kind` is `in`, `out`, `ended` or `me`. */
export const tellTabs = (kind, data) => channel?.postMessage({ kind, data });

export function onTabs(listeners) {
  if (channel) channel.onmessage = ({ data: { kind, data } }) => listeners[kind]?.(data);
}

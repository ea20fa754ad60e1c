// Waiting for a condition, never for a time.

/** How long anything may take that has to happen. */
export const DEADLINE = Number(process.env.CHAT_PATIENCE ?? 30_000);

/** Asks again and again until there is an answer. */
export async function until(what, probe) {
  const end = Date.now() + DEADLINE;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited in vain for: ${typeof what === 'function' ? await what() : what}`);
    await new Promise((resolve) => { setTimeout(resolve, 25); });
  }
}

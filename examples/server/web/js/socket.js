// The WebSocket: kept open, opened again, and gone on with from where it stopped.

const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
/** For opening it, and for an answer. A browser doesn't show pings, so this is how a dead connection is noticed. */
const ANSWER_WITHIN = 10_000;
/** So long without a word, and it is asked whether anybody is there. */
const SILENCE = 30_000;

export class Socket {
  state = 'connecting';
  #handlers;
  #socket;
  #cursor;
  #attempts = 0;
  #lastId = 0;
  #asked = new Map();
  #again;
  #opening;
  #askedWait;
  #heardAt = 0;
  #isOver = false;

  /** `handlers`: `event(name, data)`, `state(state)` with `open`, `connecting` or `offline`, and `lost()`. */
  constructor(handlers) {
    this.#handlers = handlers;
    this.watch = new AbortController();
    const on = (target, name, listener) => target.addEventListener(name, listener, { signal: this.watch.signal });
    on(window, 'online', () => this.hurry());
    on(window, 'offline', () => this.#drop());
    on(window, 'pageshow', () => this.hurry());
    on(document, 'visibilitychange', () => document.visibilityState === 'visible' && this.hurry());
    this.ticking = setInterval(() => {
      if (this.state === 'open' && Date.now() - this.#heardAt > SILENCE) this.#probe();
    }, 5000);
    this.#open();
  }

  /** For good. */
  close() {
    this.#isOver = true;
    this.watch.abort();
    clearInterval(this.ticking);
    clearTimeout(this.#again);
    this.#drop();
  }

  /** Now, rather than after the wait; and where it seems open, finds out. */
  hurry() {
    if (this.state === 'open') this.#probe();
    else if (!this.#socket) this.#open();
  }

  /** Resolves with the answer's envelope, or with nothing where there is none in time. */
  ask(event, data) {
    if (this.state !== 'open') return Promise.resolve();
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#drop(), ANSWER_WITHIN);
      this.#asked.set(id, (envelope) => {
        clearTimeout(timer);
        resolve(envelope);
      });
      this.#socket.send(JSON.stringify({ event, data, id }));
    });
  }

  /** Any answer will do, also that there is no such event. */
  #probe() {
    this.#heardAt = Date.now();
    this.ask('ping', {});
  }

  #open() {
    if (this.#isOver) return;
    clearTimeout(this.#again);
    const address = new URL('ws', document.baseURI);
    address.protocol = address.protocol.replace('http', 'ws');
    if (this.#cursor) address.searchParams.set('since', this.#cursor);
    const socket = new WebSocket(address, 'chat.v1.json');
    this.#socket = socket;
    // An attempt that fails at once is not worth a word.
    const slow = setTimeout(() => this.#change('connecting'), 400);
    this.#opening = setTimeout(() => this.#drop(), ANSWER_WITHIN);
    socket.onmessage = ({ data }) => socket === this.#socket && this.#hear(JSON.parse(data));
    socket.onclose = ({ code }) => socket === this.#socket && this.#closed(code);
    this.settle = () => {
      clearTimeout(slow);
      clearTimeout(this.#opening);
    };
  }

  #hear({ reply, event, data, cursor, ...rest }) {
    this.#heardAt = Date.now();
    if (this.state !== 'open') {
      // It is open when the server has said its first word, not when the handshake is over.
      this.settle();
      this.#attempts = 0;
      this.#change('open');
    }
    if (event === undefined) {
      this.#asked.get(reply)?.({ data, ...rest });
      this.#asked.delete(reply);
      return;
    }
    if (event === 'closing') this.#askedWait = data.retryAfter;
    else this.#handlers.event(event, data);
    // Only when that is merged: from here on it counts as had.
    this.#cursor = cursor ?? this.#cursor;
  }

  /** Gives up on this connection, without waiting for the other side. */
  #drop() {
    const socket = this.#socket;
    if (!socket) return;
    this.#closed();
    socket.close();
  }

  #closed(code) {
    this.settle();
    this.#socket = undefined;
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const answer of asked) answer();
    if (this.#isOver) return;
    const wasOpen = this.state === 'open';
    this.#change('offline');
    // A refused handshake looks like a network that is away; so does, to this page, the end of a sign-in.
    if (!wasOpen || code === 4401) this.#handlers.lost();
    const backoff = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#attempts) * (0.5 + Math.random() / 2);
    this.#attempts += 1;
    this.#again = setTimeout(() => this.#open(), this.#askedWait ?? backoff);
    this.#askedWait = undefined;
  }

  #change(state) {
    if (this.state === state) return;
    this.state = state;
    this.#handlers.state(state);
  }
}

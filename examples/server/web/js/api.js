// The REST API: one function per way to ask, and errors as two classes, because they are to be treated differently.

import { wait } from './dom.js';

/** The server answered, and said no. */
export class Refused extends Error {
  constructor(status, envelope, retryAfter) {
    super(envelope?.message ?? `The server answered ${status}.`);
    this.status = status;
    this.code = envelope?.data?.code;
    this.fields = envelope?.data?.fields ?? {};
    /** Milliseconds to wait before it makes sense to ask again. */
    this.retryAfter = retryAfter;
  }

  /** Whether the same may go well later. */
  get passes() {
    return [408, 429].includes(this.status) || this.status >= 500;
  }
}

/** No answer. Nobody knows whether it was done. */
export class Unreachable extends Error {
  constructor() {
    super('The server could not be reached. Try again shortly.');
  }

  passes = true;
}

/** Called when the sign-in turns out to be over. */
export const session = { ended: () => {} };

const LONGEST = 20_000;
const url = (path) => new URL(`api/${path}`, document.baseURI);

/** What an answer means: `data`, and where a further page is. Throws what went wrong. */
function read(status, text, header) {
  let envelope;
  try {
    envelope = JSON.parse(text);
  } catch {
    // A proxy in between, say. The status has to do.
  }
  if (status < 400 && envelope) {
    // Only the query: where the API is, this page knows better than a server behind a proxy.
    const next = /<[^>]*(\?[^>]*)>; rel="next"/.exec(header('link') ?? '')?.[1];
    return { data: envelope.data, message: envelope.message, next };
  }
  if (status === 401 && envelope?.data?.code === 'unauthenticated') session.ended();
  throw new Refused(status, envelope, (Number(header('retry-after')) || 0) * 1000);
}

/** Asks. `body` goes as JSON, or as it is when it is a form. */
export async function ask(method, path, body) {
  const isForm = body instanceof FormData;
  let response;
  let text;
  try {
    response = await fetch(url(path), {
      method,
      headers: body && !isForm ? { 'content-type': 'application/json' } : {},
      body: isForm ? body : body && JSON.stringify(body),
      signal: AbortSignal.timeout(LONGEST),
    });
    text = await response.text();
  } catch {
    throw new Unreachable();
  }
  return read(response.status, text, (name) => response.headers.get(name));
}

/** Sends a form, and tells how much of it is gone (0 to 1): `fetch` can't. It may take as long as it moves, until `signal`. */
export function upload(path, form, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let timer;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => request.abort(), LONGEST);
    };
    request.open('POST', url(path));
    request.upload.onprogress = ({ loaded, total }) => {
      alive();
      onProgress(loaded / total);
    };
    request.onload = () => {
      try {
        resolve(read(request.status, request.responseText, (name) => request.getResponseHeader(name)));
      } catch (error) {
        reject(error);
      }
    };
    request.onerror = () => reject(new Unreachable());
    request.onabort = request.onerror;
    request.onloadend = () => clearTimeout(timer);
    signal.addEventListener('abort', () => request.abort());
    alive();
    request.send(form);
  });
}

/** Asks until there is an answer that lasts: for what the page can't do without. */
export async function insist(method, path) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ask(method, path);
    } catch (error) {
      if (!error.passes) throw error;
      const backoff = Math.min(10_000, 500 * 2 ** attempt) * (0.5 + Math.random() / 2);
      await wait(error.retryAfter || backoff);
    }
  }
}

// Pictures before they are sent: read, made smaller where that is needed, cut to a square.

/** The server takes these, up to so many bytes. */
const TAKEN = ['image/png', 'image/jpeg', 'image/webp', 'image/gif'];
const MOST_BYTES = 5 * 1024 * 1024;
const LONGEST_SIDE = 2560;

export class NoPicture extends Error {
  constructor() {
    super('That is not a picture that this browser can read.');
  }
}

/** Decodes it, upright. */
export async function decode(file) {
  try {
    return await createImageBitmap(file);
  } catch {
    throw new NoPicture();
  }
}

function draw(bitmap, width, height) {
  const canvas = document.createElement('canvas');
  Object.assign(canvas, { width, height });
  canvas.getContext('2d').drawImage(bitmap, 0, 0, width, height);
  return canvas;
}

const toBlob = (canvas, kind, quality) => new Promise((resolve) => { canvas.toBlob(resolve, kind, quality); });

/** What the server will take of this file: the file itself, or, where it is too large or of another kind, a JPEG of it. */
export async function fit(file) {
  const bitmap = await decode(file);
  if (TAKEN.includes(file.type) && file.size <= MOST_BYTES) return file;
  for (let side = LONGEST_SIDE; ; side /= 2) {
    const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
    const canvas = draw(bitmap, Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)));
    const blob = await toBlob(canvas, 'image/jpeg', 0.85);
    if (!blob) throw new NoPicture();
    if (blob.size <= MOST_BYTES) return blob;
  }
}

/** The first picture of what was pasted or dropped. */
export const pictureOf = (transfer) => [...(transfer?.files ?? [])].find((file) => file.type.startsWith('image/'));

/** A square part of a picture, shown on a canvas, to be moved and enlarged. */
export class Crop {
  #bitmap;
  #x = 0.5;
  #y = 0.5;
  zoom = 1;

  constructor(bitmap, canvas) {
    this.#bitmap = bitmap;
    this.canvas = canvas;
    this.show();
  }

  get #side() {
    return Math.min(this.#bitmap.width, this.#bitmap.height) / this.zoom;
  }

  /** By so many pixels of the canvas. */
  move(x, y) {
    const scale = this.#side / this.canvas.width;
    this.#x -= (x * scale) / this.#bitmap.width;
    this.#y -= (y * scale) / this.#bitmap.height;
    this.show();
  }

  show() {
    const { width, height } = this.#bitmap;
    // Never beyond its edges.
    const within = (at, length) => Math.min(1 - this.#side / length / 2, Math.max(this.#side / length / 2, at));
    this.#x = within(this.#x, width);
    this.#y = within(this.#y, height);
    this.#draw(this.canvas);
  }

  #draw(canvas) {
    const side = this.#side;
    const [left, top] = [this.#x * this.#bitmap.width - side / 2, this.#y * this.#bitmap.height - side / 2];
    const context = canvas.getContext('2d');
    context.fillStyle = '#fff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(this.#bitmap, left, top, side, side, 0, 0, canvas.width, canvas.height);
  }

  /** The part, at most 512 pixels wide. */
  toBlob() {
    const canvas = document.createElement('canvas');
    canvas.width = Math.min(512, Math.max(1, Math.round(this.#side)));
    canvas.height = canvas.width;
    this.#draw(canvas);
    return toBlob(canvas, 'image/jpeg', 0.9);
  }
}

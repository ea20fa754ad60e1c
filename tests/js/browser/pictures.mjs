// Pictures made here.
import { randomBytes } from 'node:crypto';
import zlib from 'node:zlib';

/** A PNG whose pixels are what `colour(x, y)` says: `[red, green, blue]`. */
export function png(width, height, colour, level = 9) {
  const chunk = (type, data) => {
    const typed = Buffer.concat([Buffer.from(type), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(crc32(typed), 4);
    return Buffer.concat([frame.subarray(0, 4), typed, frame.subarray(4)]);
  };
  const head = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0]);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  const pixels = Buffer.alloc(height * (width * 3 + 1));
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) pixels.set(colour(x, y), y * (width * 3 + 1) + 1 + x * 3);
  }
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', zlib.deflateSync(pixels, { level })), chunk('IEND', Buffer.alloc(0))]);
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** Stripes, which are small. */
export const stripes = (width = 120, height = 80) => png(width, height, (x, y) => [(x * 5) % 256, (y * 7) % 256, 120]);

/** Noise, which does not shrink: about `width * height * 3` bytes. */
export const noise = (width, height) => png(width, height, () => randomBytes(3), 0);

export const file = (buffer, name = 'picture.png', mimeType = 'image/png') => ({ name, mimeType, buffer });

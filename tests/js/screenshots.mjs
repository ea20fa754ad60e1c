// The screenshots of the README, from the running program: two people, and what they talk about.
//
//   SERVER=target/debug/server node tests/js/screenshots.mjs [folder]
//
// Everything in them is made here; emoji need a font that has them (Debian: fonts-noto-color-emoji).
import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { launchChromium } from './browser/launch.mjs';
import { Person } from './browser/people.mjs';
import { png } from './browser/pictures.mjs';
import { Server } from './browser/server.mjs';
import { Tab } from './browser/tab.mjs';
import { until } from './browser/wait.mjs';

const folder = resolve(process.argv[2] ?? new URL('../../docs/screenshots', import.meta.url).pathname);
const MOST_BYTES = 200_000;

// --- Pictures ---

const mix = (a, b, part) => a.map((value, i) => value + (b[i] - value) * part);
const dataUrl = (buffer) => `data:image/png;base64,${buffer.toString('base64')}`;

/** A lake between hills, in the evening. */
function lake(width, height) {
  const shore = height * 0.62;
  const hill = (x, far) => shore - height * (0.1 + 0.16 * far) - Math.sin(x / (70 + 40 * far) + far * 2) * height * 0.06 - Math.sin(x / 31 + far) * height * 0.02;
  const sky = (y) => mix([250, 196, 140], [92, 128, 178], Math.max(0, 1 - y / shore) ** 1.2);
  const sun = [width * 0.68, height * 0.3];
  const above = (x, y) => {
    const glow = Math.max(0, 1 - Math.hypot(x - sun[0], y - sun[1]) / (width * 0.28));
    let colour = mix(sky(y), [255, 236, 196], glow ** 2);
    if (Math.hypot(x - sun[0], y - sun[1]) < height * 0.055) colour = [255, 246, 220];
    for (const [far, shade] of [[1, [108, 122, 152]], [0.5, [66, 88, 112]], [0, [38, 60, 66]]]) if (y > hill(x, far)) colour = shade;
    return colour;
  };
  return png(width, height, (x, y) => {
    if (y < shore) return above(x, y).map(Math.round);
    const wave = Math.sin(y * 1.7) * 3 * ((y - shore) / (height - shore));
    return mix(above(x + wave, 2 * shore - y - 1 > 0 ? 2 * shore - y - 1 : 0), [30, 56, 86], 0.35).map(Math.round);
  });
}

/** A face, for a profile. */
function face([back, skin, hair, shirt]) {
  const side = 256;
  return png(side, side, (x, y) => {
    const [dx, dy] = [x - side / 2, y - side * 0.44];
    if (Math.hypot(dx - 24, dy - 2) < 7 || Math.hypot(dx + 24, dy - 2) < 7) return [46, 40, 38];
    if (Math.hypot(dx, dy - 20) < 26 && Math.hypot(dx, dy - 20) > 21 && dy > 30) return [150, 70, 66];
    if (Math.hypot(dx, dy + 16) < 70 && dy < -22 + Math.abs(dx) * 0.25) return hair;
    if (Math.hypot(dx / 0.9, dy) < 62) return skin;
    if (Math.hypot(dx, dy + 6) < 72 && dy < 40 && hair[3]) return hair.slice(0, 3);
    if (Math.hypot(dx / 1.15, dy - 150) < 92) return shirt;
    return back;
  });
}

const FACES = {
  'Mara Lindqvist': [[244, 214, 170], [236, 188, 158], [122, 66, 40, 1], [60, 120, 110]],
  'Jonas Weber': [[178, 208, 226], [222, 174, 140], [60, 46, 40], [204, 94, 70]],
  'Amina Diallo': [[226, 196, 218], [128, 84, 62], [34, 28, 30, 1], [232, 178, 66]],
  'Tom Okafor': [[206, 222, 186], [150, 102, 76], [38, 32, 30], [84, 96, 160]],
  'Sofia Rossi': [[250, 226, 220], [240, 200, 170], [190, 140, 70, 1], [150, 80, 120]],
};

// --- People, and what they say ---

async function meet(server, name) {
  const person = await Person.signUp(server, name, { isUnique: false });
  await person.do('PUT', '/api/auth/profile', { profilePic: dataUrl(face(FACES[name])) });
  return person;
}

async function talk(server) {
  const [mara, jonas, amina, tom, sofia] = await Promise.all(Object.keys(FACES).map((name) => meet(server, name)));
  await sofia.say(mara, 'The tickets are in your mail 🎟️');
  await mara.say(sofia, 'You are the best, thank you!');
  await sofia.do('POST', `/api/messages/${mara.id}/read`, {});
  await tom.say(mara, 'Can you look over my draft tomorrow?');
  await mara.say(tom, 'Of course. Send it over.');
  await tom.do('POST', `/api/messages/${mara.id}/delivered`, {});
  await amina.say(mara, 'Movie night on Friday?');
  await amina.say(mara, 'I bring popcorn 🍿');

  await jonas.say(mara, 'Good morning! Still on for the lake this weekend?');
  await mara.say(jonas, 'Yes! I checked the weather: sunny until Sunday evening ☀️');
  const picture = await jonas.say(mara, 'This is from last summer. We could camp at the same spot.', { image: dataUrl(lake(640, 480)) });
  await mara.react(picture, '😍');
  await jonas.react(picture, '❤️');
  await mara.react(picture, '❤️');
  await mara.say(jonas, 'That light! I take the tent, you take the stove?', { replyTo: picture._id });
  await jonas.say(mara, 'Deal. The train leaves at 8:14, here is the map: https://www.openstreetmap.org/#map=13/47.66/9.18');
  const last = await mara.say(jonas, 'See you at the station 🎒');
  await jonas.do('POST', `/api/messages/${mara.id}/read`, {});
  await jonas.react(last, '👍');
  await mara.do('POST', `/api/messages/${jonas.id}/read`, {});
  return { mara, jonas, amina };
}

// --- The screenshots ---

const LOOKS = {
  light: { colorScheme: 'light', viewport: { width: 1200, height: 840 } },
  dark: { colorScheme: 'dark', viewport: { width: 1200, height: 840 } },
  phone: { colorScheme: 'light', viewport: { width: 390, height: 780 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
};

async function shoot(browser, server, name, { mara, jonas, amina }) {
  const context = await browser.newContext({ locale: 'en-GB', reducedMotion: 'reduce', ...LOOKS[name] });
  await context.addCookies([{ name: 'jwt', value: mara.token, url: server.url }]);
  const page = await context.newPage();
  const tab = new Tab(page);
  await page.goto(server.url);
  await tab.converse(jonas);
  await tab.article('See you at the station').waitFor();
  await until('the pictures', () => page.evaluate(() => [...document.images].every((image) => image.complete)));
  // Somebody is here: the dot.
  const here = await browser.newContext();
  for (const { token } of [jonas, amina]) {
    await here.addCookies([{ name: 'jwt', value: token, url: server.url }]);
    const other = await here.newPage();
    await other.goto(server.url);
    await new Tab(other).nav.waitFor();
  }
  await tab.main.getByText('online', { exact: true }).waitFor();
  await tab.log.evaluate((log) => { log.scrollTop = log.scrollHeight; });
  await page.evaluate(() => document.activeElement.blur());
  await page.mouse.move(1, 1);
  // All of it is drawn.
  await page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); }));
  const bytes = await page.screenshot({ path: `${folder}/${name}.png` });
  if (bytes.length > MOST_BYTES) throw new Error(`${name}.png has ${bytes.length} bytes`);
  console.log(`${name}.png: ${bytes.length} bytes`);
  await tab.judge();
  await here.close();
  await context.close();
}

await mkdir(folder, { recursive: true });
const server = await Server.start();
const browser = await launchChromium();
try {
  const people = await talk(server);
  for (const name of Object.keys(LOOKS)) await shoot(browser, server, name, people);
} finally {
  await browser.close();
  await server.stop();
}

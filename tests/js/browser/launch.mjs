// The browser.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

/** Chromium as Debian and others have it, or the one that `CHROMIUM` names. */
export async function launchChromium() {
  const names = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
  const executablePath = names.find((name) => name && existsSync(name));
  if (!executablePath) throw new Error('chromium is not installed: run ./test.sh, or let CHROMIUM name one');
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

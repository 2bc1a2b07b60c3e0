// A teacher's own disk on a real board, by its page: BASE_URL=http://127.0.0.1:8008/ node own_disk.mjs
// Prints one JSON object of what was seen; judging is the test's part.
import { createRequire } from 'node:module';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ui = join(dirname(fileURLToPath(import.meta.url)), '../../agent/daemon/player-ui');
const { chromium } = createRequire(pathToFileURL(join(ui, 'package.json')))('playwright-core');
const profile = mkdtempSync(join(tmpdir(), 'bbt-disk-'));
const context = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true, viewport: { width: 1920, height: 1080 },
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--autoplay-policy=no-user-gesture-required'] });
const seen = { names: [], errors: [] };
try {
  const page = context.pages()[0];
  page.setDefaultTimeout(15000);
  page.on('pageerror', (error) => seen.errors.push(error.message));
  await page.goto(process.env.BASE_URL);
  seen.host = new URL(page.url()).hostname;
  await page.click('.button-files');
  await page.waitForSelector('.usb-row');
  seen.names = await page.locator('.usb-name').allInnerTexts();
  await page.click('.usb-row[data-kind="dir"]');
  await page.waitForSelector('.usb-row[data-kind="video"]');
  seen.inside = await page.locator('.usb-name').allInnerTexts();
  await page.click('.usb-row[data-kind="video"]');
  await page.waitForFunction(() => document.querySelector('video') && document.querySelector('video').currentTime > 0.4);
  // By Range, so it comes from the middle.
  await page.evaluate(() => { document.querySelector('video').currentTime = 6; });
  await page.waitForFunction(() => !document.querySelector('video').seeking && document.querySelector('video').currentTime >= 6);
  await page.evaluate(() => { document.querySelector('video').currentTime = 1.2; });
  await page.waitForSelector('.subtitles p');
  seen.words = await page.innerText('.subtitles');
  seen.title = await page.innerText('.item-strip-title');
  await page.click('.button-back');
  await page.waitForSelector('.usb-rows');
  await page.click('.button-back');
  await page.click('.usb-row[data-kind="image"]');
  await page.waitForFunction(() => document.querySelector('.picture-img') && document.querySelector('.picture-img').naturalWidth > 0);
  seen.picture = true;
  // A page that says it is a film.
  await page.click('.button-back');
  await page.click('.usb-row:has-text("骗人")');
  await page.waitForSelector('.stage-fail');
  seen.refused = await page.innerText('.stage-fail h2');
} catch (error) {
  seen.failed = String(error.message || error).split('\n').slice(0, 4).join(' | ');
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
console.log(JSON.stringify(seen));

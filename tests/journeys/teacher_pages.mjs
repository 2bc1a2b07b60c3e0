// A browser on the board, told line by line what to do on the pages that are used seldom: settings, timetable from a disk, notices,
// repairs, own lessons, the check before a class.
//
//   BASE_URL=http://127.0.0.1:8008/ [SHOTS=folder] node teacher_pages.mjs
//
// One command on each line of standard input, one JSON object for each on standard output.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const require = createRequire(new URL('../../agent/daemon/player-ui/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const base = process.env.BASE_URL;
const shots = process.env.SHOTS;
if (shots) mkdirSync(shots, { recursive: true });
const profile = mkdtempSync(join(tmpdir(), 'bbt-pages-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true, viewport: { width: 1920, height: 1080 }, hasTouch: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update'],
});
const page = context.pages()[0] || await context.newPage();
page.setDefaultTimeout(20000);
const errors = [];
page.on('pageerror', (error) => errors.push(error.message));
const tap = (selector) => page.locator(selector).first().tap();
const text = async (selector) => (await page.locator(selector).first().innerText()).replace(/\s+/g, ' ').trim();
const go = (hash) => page.evaluate((to) => { window.location.hash = to; }, hash);
const home = () => page.evaluate(() => new Promise((done) => window.BBT.api.get('api/home', (ok, body) => done(body))));
const type = async (keys) => { for (const key of keys) await tap(`.keyboard [data-key="${key}"], .pin [data-key="${key}"]`); };
const pin = async (digits) => { await type([...digits]); await tap('.pin .button-primary'); };

const DO = {
  open: async () => { await page.goto(base); await page.waitForSelector('.view-home .hero'); return {}; },
  // PIN by PIN; the last one opens.
  settings: async (...pins) => {
    await go('#/settings');
    const said = [];
    for (const [at, one] of pins.entries()) {
      await page.waitForSelector('.pin');
      await pin(one);
      if (at < pins.length - 1) { await page.waitForFunction(() => document.querySelector('.pin-said').textContent !== ''); said.push(await text('.pin-said')); }
    }
    await page.waitForSelector('.settings');
    return { said };
  },
  turnUsbOff: async () => {
    await tap('.switch');
    await page.waitForSelector('.switch[aria-checked="false"]');
    return { said: await text('.setting-said') };
  },
  turnUsbOn: async () => { await tap('.switch'); await page.waitForSelector('.switch[aria-checked="true"]'); return {}; },
  english: async () => { await tap('.setting .button:has-text("English")'); await page.waitForFunction(() => document.querySelector('.setting-said').textContent !== ''); return { said: await text('.setting-said') }; },
  chinese: async () => { await tap('.setting .button:has-text("中文")'); await page.waitForTimeout(300); return {}; },
  takeTimetable: async (name) => {
    await tap('.setting .button:has-text("从 U 盘取入")');
    await tap(`.setting-files .button:has-text("${name}")`);
    await page.waitForFunction(() => /从 U 盘取入的/.test(document.querySelector('.settings').textContent));
    await go('#/');
    await page.waitForSelector('.periods-list .period');
    return { periods: await page.locator('.periods-list .period strong').allInnerTexts() };
  },
  clearTimetable: async () => {
    await tap('.setting .button:has-text("删除")');
    await page.waitForFunction(() => /还没有课表/.test(document.querySelector('.settings').textContent));
    return {};
  },
  strip: async () => {
    await go('#/');
    await page.waitForSelector('.notice', { timeout: 60000 });
    const said = await text('.notice');
    await tap('.notice .button');
    await page.waitForFunction(() => !document.querySelector('.notice'));
    return { said };
  },
  urgent: async () => {
    await page.waitForSelector('.urgent', { timeout: 60000 });
    const box = await page.locator('.urgent').boundingBox();
    const said = await text('.urgent');
    await shoot('urgent');
    await tap('.urgent .button');
    await page.waitForFunction(() => !document.querySelector('.urgent'));
    return { said, whole: box.width === 1920 && box.height === 1080 };
  },
  report: async () => {
    await go('#/');
    await tap('.dock .button:has-text("报修")');
    await tap('[data-class="display"]');
    await tap('[data-symptom="flicker"]');
    await page.waitForSelector('.message-done');
    return {};
  },
  repaired: async () => {
    await go('#/');
    await page.waitForSelector('.banner-repair', { timeout: 90000 });
    const asked = await text('.banner-repair');
    await tap('.banner-repair .button');
    await page.waitForSelector('.view-repair');
    const note = await text('.view-repair');
    await shoot('repair');
    await tap('.repair-answers .button:has-text("修好了")');
    await page.waitForSelector('.view-repair .message h2:has-text("谢谢")');
    return { asked, note };
  },
  // A title typed by pinyin, chosen by touch: nothing else is typed.
  own: async (letters, word) => {
    await go('#/own');
    await tap('.dock .button-primary');
    await tap('.usb-row:has-text("图.png")');
    await tap('.dock .button-next');
    await page.waitForSelector('.own-input');
    await tap('.keyboard [data-key="clear"]');
    for (const letter of letters) {
      const answered = page.waitForResponse((r) => r.url().includes('/api/pinyin'));
      await tap(`.keyboard [data-key="${letter}"]`);
      await answered;
    }
    await page.waitForSelector(`[data-key="ime:${word}"]`);
    await shoot('own-pinyin');
    const offered = await page.locator('.ime-one').allInnerTexts();
    await tap(`[data-key="ime:${word}"]`);
    const title = await page.inputValue('.own-input');
    await tap('.own-chip:has-text("数学")');
    await tap('.dock .button-next');
    await page.waitForSelector('.own-buttons .button-primary', { timeout: 60000 });
    await tap('.own-buttons .button-primary');
    await page.waitForSelector('.view-lesson');
    return { offered, title, shown: await text('.view-lesson h1') };
  },
  check: async () => {
    await go('#/');
    const began = Date.now();
    await tap('.button-check');
    await page.waitForSelector('.view-check[data-took]', { timeout: 35000 });
    const took = Date.now() - began;
    await shoot('check');
    const lights = await page.evaluate(() => Object.fromEntries([...document.querySelectorAll('.check-row')].map((r) => [r.dataset.part, r.dataset.light])));
    const apps = await page.evaluate(() => Object.fromEntries([...document.querySelectorAll('.check-app')].map((r) => [r.dataset.app, r.innerText.replace(/\s+/g, ' ')])));
    return { took, lights, apps };
  },
  unmute: async () => {
    await tap('[data-part="sound"] .button:has-text("打开声音")');
    await page.waitForSelector('[data-part="sound"].check-green');
    return { said: await text('[data-part="sound"] p') };
  },
  live: async (app) => {
    await tap(`[data-app="${app}"] .button`);
    await page.waitForFunction(() => document.querySelector('.check-said') && !/正在打开/.test(document.querySelector('.check-said').textContent), null, { timeout: 30000 });
    await shoot(`live-${app}`);
    return { said: await text('.check-said p'), good: await page.locator('.check-said.check-bad').count() === 0, runs: await page.locator(`[data-app="${app}"] .button:has-text("关闭")`).count() === 1 };
  },
  endLive: async (app) => { await tap(`[data-app="${app}"] .button:has-text("关闭")`); await page.waitForSelector(`[data-app="${app}"] .button:has-text("打开")`); return {}; },
  fallback: async () => {
    const title = await text('.check-other strong');
    await tap('.check-take');
    await page.waitForSelector('.view-item, .view-lesson');
    return { title, at: await page.evaluate(() => window.location.hash) };
  },
  // What a page could say that is not in the board's own list.
  forged: async () => page.evaluate(() => Promise.all([
    { app: '/bin/sh' }, { app: 'meet', command: ['/bin/sh'] }, { app: 'meet', url: 'https://x' }, { app: '../meet' }, {},
  ].map((body) => new Promise((done) => window.BBT.api.post('api/class/open', body, (ok, answer, status) => done(status)))))).then((statuses) => ({ statuses })),
  // Open an exercise and leave it at once: it is where the class stopped.
  exercise: async (lesson, wait) => {
    const item = await page.evaluate((id) => new Promise((done) => window.BBT.api.get(`api/lessons/${id}`, (ok, body) => done(body.items.findIndex((one) => one.kind === 'html5')))), lesson);
    await go(`#/lesson/${lesson}/${item}`);
    await page.waitForSelector('iframe.exercise-frame');
    await page.waitForTimeout(Number(wait));
    await tap('.dock .button-back');
    await page.waitForSelector('.view-lesson');
    await go('#/');
    const began = Date.now();
    await page.waitForSelector(`[data-resume="${lesson}"]`);
    return { after_ms: Date.now() - began, first: await page.locator('[data-resume]').first().getAttribute('data-resume'), rows: await page.locator('[data-resume]').count() };
  },
  home: async () => ({ home: await home() }),
  errors: async () => ({ errors }),
};
async function shoot(name) { if (shots) await page.screenshot({ path: join(shots, `${name}.png`) }); }

console.log(JSON.stringify({ ok: true, ready: true }));
for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...rest] = line.trim().split(' ').filter(Boolean);
  if (!name) continue;
  if (name === 'end') break;
  try {
    console.log(JSON.stringify({ ok: true, ...(await DO[name](...rest)) }));
  } catch (error) {
    await shoot(`failed-${name}`).catch(() => {});
    const shown = await page.evaluate(() => document.body.innerText.replace(/\s+/g, ' ').slice(0, 400)).catch(() => '');
    console.log(JSON.stringify({ ok: false, why: String(error.message || error).split('\n').slice(0, 3).join(' | '), shown }));
  }
}
await context.close();
rmSync(profile, { recursive: true, force: true });

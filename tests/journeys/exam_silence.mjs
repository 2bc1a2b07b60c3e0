// A browser on the board, told line by line what to do: opens the player, lets something sound, looks at what is shown.
//
//   PULSE_SERVER=unix:… BASE_URL=http://127.0.0.1:8008/ node exam_silence.mjs
//
// One command on each line of standard input, one JSON object for each on standard output.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const require = createRequire(new URL('../../agent/daemon/player-ui/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const base = process.env.BASE_URL;
const profile = mkdtempSync(join(tmpdir(), 'bbt-exam-'));
// The driver mutes a browser that has no window; here the sound is the point.
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true, viewport: { width: 1920, height: 1080 },
  ignoreDefaultArgs: ['--mute-audio'],
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--autoplay-policy=no-user-gesture-required'],
});
const page = context.pages()[0] || await context.newPage();
let popups = 0;
let dialogs = 0;
context.on('page', () => { popups += 1; });
page.on('dialog', (dialog) => { dialogs += 1; dialog.dismiss().catch(() => {}); });

const DO = {
  open: async () => { await page.goto(base); await page.waitForFunction(() => window.BBT && window.BBT.data && window.BBT.data.home, null, { timeout: 20000 }); return {}; },
  // Another program of the board that sounds all the time: only the loudspeaker itself can be what is silent.
  hum: async () => page.evaluate(async () => {
    const sound = new AudioContext();
    const tone = sound.createOscillator();
    const gain = sound.createGain();
    gain.gain.value = 0.4;
    tone.connect(gain).connect(sound.destination);
    tone.start();
    await sound.resume();
    window.hum = () => { sound.close(); };
    return { state: sound.state };
  }),
  unhum: async () => page.evaluate(() => { if (window.hum) window.hum(); return {}; }),
  // By the player's own page: #/lesson/ID/N.
  play: async (lesson, item) => {
    await page.goto(`${base}#/lesson/${lesson}/${item || 0}`);
    await page.waitForSelector('video', { timeout: 20000 });
    await page.evaluate(() => { const v = document.querySelector('video'); v.loop = true; return v.play().catch(() => {}); });
    await page.waitForFunction(() => document.querySelector('video').currentTime > 0.5, null, { timeout: 20000 });
    return page.evaluate(() => ({ time: document.querySelector('video').currentTime, muted: document.querySelector('video').muted }));
  },
  // In the page's own origin, past everything that the page itself would refuse.
  listen: async (url) => page.evaluate((at) => new Promise((done) => {
    const audio = new Audio(at);
    window.listening = audio;
    audio.loop = true;
    audio.addEventListener('playing', () => done({ plays: true }));
    audio.addEventListener('error', () => done({ plays: false }));
    audio.play().catch(() => {});
    setTimeout(() => done({ plays: false, slow: true }), 8000);
  }), url),
  unlisten: async () => page.evaluate(() => { if (window.listening) { window.listening.pause(); window.listening.src = ''; } return {}; }),
  // What a person sees.
  look: async () => page.evaluate(() => {
    const shown = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.offsetParent !== null && e.innerText.trim()).map((e) => e.innerText.trim().slice(0, 80));
    const media = [...document.querySelectorAll('video, audio')];
    return { exam: Boolean(document.querySelector('.view-exam')), notices: shown('.notice, .notice-strip, .notice-urgent, [class*="notice"]'),
      playing: media.filter((m) => !m.paused && !m.ended).length, text: document.body.innerText.replace(/\s+/g, ' ').slice(0, 300) };
  }).then((seen) => ({ ...seen, pages: context.pages().length, popups, dialogs })),
  shot: async (path) => { await page.screenshot({ path }); return {}; },
  // As the page's own buttons ask.
  ask: async (path, body) => page.evaluate(async ([at, what]) => {
    const home = await (await fetch('api/home')).json();
    const answer = await fetch(at, { method: 'POST', body: what, headers: { 'content-type': 'application/json', 'x-bbt-page': '1', 'x-bbt-token': home.token } });
    return { status: answer.status, body: await answer.json().catch(() => null) };
  }, [path, body || '{}']),
  get: async (path) => page.evaluate(async (at) => {
    const answer = await fetch(at);
    return { status: answer.status, body: (answer.headers.get('content-type') || '').includes('json') ? await answer.json() : null };
  }, path),
};

process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const [verb, ...rest] = line.trim().split(' ');
  if (verb === 'end') break;
  // The last argument may hold blanks: JSON.
  const args = rest.length > 1 ? [rest[0], rest.slice(1).join(' ')] : rest;
  let said;
  try {
    said = { ok: true, ...(await DO[verb](...args)) };
  } catch (error) {
    said = { ok: false, reason: String(error.message || error).split('\n')[0] };
  }
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
await context.close();
rmSync(profile, { recursive: true, force: true });

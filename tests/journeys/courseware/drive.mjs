// Drives a real Chromium through a real agent with a hostile exercise on it, and tells what every attempt got.
//
//   BASE_URL=http://127.0.0.1:8008/ VILLAIN=lesson-id VICTIM=lesson-id node drive.mjs
//
// Devices that a browser asks people for (camera, microphone) are there and granted by the browser: what refuses is ours.
// Prints one JSON object {attempts: [{name, got|refused}], …}; judging is the test's part.
import { createServer } from 'node:http';
import { createSocket } from 'node:dgram';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const ui = join(here, '../../../agent/daemon/player-ui');
const { chromium } = createRequire(pathToFileURL(join(ui, 'package.json')))('playwright-core');
const base = process.env.BASE_URL;
const { VILLAIN, VICTIM } = process.env;
const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--autoplay-policy=no-user-gesture-required', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];

// The world outside, as far as a packet could reach it: who connects or sends is written down.
const reached = [];
const outside = createServer((req, res) => {
  reached.push(`${req.method} ${req.url}`);
  res.writeHead(200, { 'access-control-allow-origin': '*', 'content-type': 'text/plain' }).end('outside');
});
outside.on('connection', (socket) => { reached.push('a connection'); socket.on('error', () => {}); });
outside.on('upgrade', (req, socket) => { reached.push('upgrade'); socket.destroy(); });
await new Promise((done) => outside.listen(0, '127.0.0.77', done));
const stun = createSocket('udp4');
stun.on('message', () => { reached.push('a UDP packet'); });
await new Promise((done) => stun.bind(0, '127.0.0.77', done));

const profile = mkdtempSync(join(tmpdir(), 'bbt-hostile-'));
// Two ways out that no page can close, preconnected links and WebRTC, are closed by the browser's policy that comes with the agent;
// its settings as a profile has them. KIOSK=0 leaves them open, to see that they are noticed.
if (process.env.KIOSK !== '0') {
  const policy = JSON.parse(readFileSync(join(here, '../../../agent/daemon/dist/chromium-policy.json'), 'utf8'));
  mkdirSync(join(profile, 'Default'), { recursive: true });
  writeFileSync(join(profile, 'Default', 'Preferences'), JSON.stringify({ net: { network_prediction_options: policy.NetworkPredictionOptions },
    webrtc: { ip_handling_policy: policy.WebRtcIPHandling } }));
}
const context = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true,
  args: ARGS, viewport: { width: 1920, height: 1080 }, acceptDownloads: true, permissions: ['camera', 'microphone', 'geolocation', 'clipboard-read'] });
const result = { attempts: [], dialogs: 0, popups: 0, downloads: [], top: [], said: [], reached, notes: {} };
try {
  const page = context.pages()[0];
  page.setDefaultTimeout(15000);
  page.on('console', (message) => { if (message.type() === 'error') result.said.push(message.text().slice(0, 200)); });
  page.on('pageerror', (error) => { result.said.push(String(error.message).slice(0, 200)); });
  page.on('dialog', (dialog) => { result.dialogs += 1; dialog.dismiss().catch(() => {}); });
  context.on('page', () => { result.popups += 1; });
  page.on('download', (download) => { result.downloads.push(download.suggestedFilename()); });
  page.on('framenavigated', (frame) => { if (frame === page.mainFrame()) result.top.push(frame.url()); });

  const open = async (lesson) => {
    await page.goto('about:blank');
    await page.goto(new URL(`#/lesson/${lesson}`, base).href);
    await page.click('[data-item="0"]');
    await page.waitForSelector('.exercise-frame.exercise-loaded');
    return page.frames().find((one) => one.parentFrame() === page.mainFrame());
  };
  // Whether the player's own page still answers, and how fast.
  const alive = async () => {
    const from = Date.now();
    await Promise.race([page.evaluate(() => new Promise((done) => { window.requestAnimationFrame(() => done(document.title)); })), new Promise((_, failed) => { setTimeout(() => failed(new Error('the page does not answer')), 5000); })]);
    return Date.now() - from;
  };

  // The decent lesson keeps something first.
  const decent = await open(VICTIM);
  result.notes.victim = decent.url();
  await decent.waitForSelector('#kept:not(:empty)').catch(async (error) => { throw new Error(`${error.message} in ${await decent.content()}`); });
  result.notes.kept = await decent.textContent('#kept');

  let villain = await open(VILLAIN);
  result.notes.villain = villain.url();
  const at = new URL(base);
  const ports = [];
  for (let port = 1; port <= 65535; port += 6553) ports.push(port);
  ports.push(22, 53, 80, 443, 631, 1883, 8010, 8080, 9222, Number(at.port));
  const to = { player: at.origin, outside: `http://127.0.0.77:${outside.address().port}`, stun: `stun:127.0.0.77:${stun.address().port}`, victim: VICTIM, other: decent.url(), ports };
  // A hand is on the glass, so what asks for one has it.
  await page.mouse.click(900, 500);
  const before = result.top.length;
  const table = await Promise.race([
    villain.evaluate((addresses) => window.__run(addresses), to),
    new Promise((done) => { setTimeout(() => done(villain.evaluate(() => window.__results).catch(() => ({}))), 150000); }),
  ]);
  result.attempts = Object.entries(table).map(([name, one]) => ({ name, ...one }));
  result.notes.moved = result.top.slice(before).filter((url) => !url.startsWith(at.origin));
  result.notes.fullscreen = await page.evaluate(() => !!document.fullscreenElement);
  result.notes.workers = context.serviceWorkers().length;
  // Sixty steps in the history, and a question at leaving: one touch still leads out.
  const from = Date.now();
  await page.click('.button-back');
  await page.waitForSelector('.view-lesson');
  result.notes.left_ms = Date.now() - from;
  result.notes.frames_after = page.frames().length;

  // 1 GB: the exercise may break, the player may not.
  villain = await open(VILLAIN);
  const eaten = await Promise.race([villain.evaluate(() => window.__eat()).then((mb) => `${mb} MB`, (error) => `broke: ${String(error.message).split('\n')[0]}`), new Promise((done) => { setTimeout(() => done('still at it after 30 s'), 30000); })]);
  result.notes.eaten = eaten;
  result.notes.alive_after_eating_ms = await alive();
  await page.click('.button-back');
  await page.waitForSelector('.view-lesson');

  // A busy loop: the player's page goes on in a process of its own.
  villain = await open(VILLAIN);
  await villain.evaluate(() => { setTimeout(window.__spin, 0); });
  await page.waitForTimeout(500);
  const times = [];
  for (let n = 0; n < 10; n += 1) times.push(await alive());
  result.notes.alive_while_spinning_ms = times;
  const out = Date.now();
  await page.click('.button-back');
  await page.waitForSelector('.view-lesson');
  result.notes.left_while_spinning_ms = Date.now() - out;

  // What the decent lesson kept is as it left it.
  const again = await open(VICTIM);
  await again.waitForSelector('#kept:not(:empty)');
  result.notes.kept_after = await again.evaluate(() => localStorage.getItem('score'));
  result.notes.keys_after = await again.evaluate(() => Object.keys(localStorage).join());
} catch (error) {
  result.error = String(error.stack || error).split('\n').slice(0, 6).join(' | ');
} finally {
  await Promise.race([context.close(), new Promise((done) => { setTimeout(done, 8000); })]);
  outside.close();
  stun.close();
  rmSync(profile, { recursive: true, force: true });
}
console.log(JSON.stringify(result));
process.exit(0);

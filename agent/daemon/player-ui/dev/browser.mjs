// Starts the system's Chromium with a fresh profile and nothing of its own on the network.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

export const CHROMIUM = process.env.CHROMIUM || '/usr/bin/chromium';
const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

// What came after Chrome 61 and can be taken away from a newer one: the nearest to an old board that a test can have.
export const OLD_ENGINE = `(function (g) {
  var gone = ['AbortController', 'AbortSignal', 'ResizeObserver', 'structuredClone', 'queueMicrotask', 'OffscreenCanvas',
    'TransformStream', 'AggregateError', 'WeakRef', 'FinalizationRegistry',
    'CompressionStream', 'DecompressionStream', 'ImageDecoder', 'TextDecoderStream'];
  gone.forEach(function (n) { try { delete g[n]; } catch (e) {} });
  [[Promise, ['allSettled', 'any', 'withResolvers', 'try']], [Object, ['fromEntries', 'hasOwn', 'groupBy']],
   [Promise.prototype, ['finally']], [Array.prototype, ['at', 'flat', 'flatMap', 'findLast', 'findLastIndex', 'toSorted', 'toSpliced', 'with', 'toReversed']],
   [String.prototype, ['at', 'replaceAll', 'matchAll', 'trimStart', 'trimEnd', 'isWellFormed']],
   [Uint8Array.prototype.__proto__, ['at', 'findLast', 'toSorted', 'with']],
   [g.Element && Element.prototype, ['toggleAttribute', 'replaceChildren', 'requestFullscreen', 'checkVisibility']],
   [g.Document && Document.prototype, ['exitFullscreen']],
   [g.Navigator && Navigator.prototype, ['deviceMemory']],
   [g.Blob && Blob.prototype, ['arrayBuffer', 'text', 'stream']],
   [g.CanvasRenderingContext2D && CanvasRenderingContext2D.prototype, ['getTransform', 'reset', 'roundRect']]
  ].forEach(function (pair) { if (pair[0]) pair[1].forEach(function (n) { try { delete pair[0][n]; } catch (e) {} }); });
}(self));\n`;

// Playwright itself needs `globalThis` in the page, so it is only gone while pdf.js is loaded: pdf.js has to bring its own.
export async function oldEngine(page) {
  await page.addInitScript(OLD_ENGINE);
  await page.context().route(/\/pdf\.(worker\.)?min\.js/, async (route) => {
    // Names under localhost are the browser's own knowledge; outside it they need not resolve.
    const response = await route.fetch({ url: route.request().url().replace(/\/\/[^/:]+\.localhost/, '//127.0.0.1'), maxRedirects: 0 });
    const worker = route.request().url().includes('worker');
    const body = worker ? `${OLD_ENGINE}delete self.globalThis;\n${await response.text()}`
      : `var keptGlobal = globalThis; delete self.globalThis;\n${await response.text()}\n` +
        "if (typeof globalThis === 'undefined') { keptGlobal.globalThis = keptGlobal; throw new Error('pdf.js brings no globalThis'); }";
    await route.fulfill({ response, body });
  });
}

// Runs work(context) in a fresh browser and always ends it.
export async function withBrowser(options, work) {
  const profile = mkdtempSync(join(tmpdir(), 'bbt-player-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM, headless: true, args: ARGS, viewport: { width: 1920, height: 1080 }, ...options,
  });
  try {
    return await work(context);
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

// Notes down what a player's pages ask of whom, and what goes wrong in them. `allowed` is a set of origins; a name under
// localhost is the device itself, which sends its own page there.
export function watch(context, page, result, allowed) {
  context.on('request', (request) => {
    const url = request.url();
    result.requests += 1;
    if (/^(data|blob|about):/.test(url)) return;
    // The board sends a Chromium to the player's own name.
    if (!allowed.has(new URL(url).origin) && new URL(url).hostname !== 'bbt.localhost') result.outside.push(url);
  });
  context.on('requestfailed', (request) => {
    // Leaving a video aborts what is still being read, and so does a frame that is taken away.
    const why = request.failure() ? request.failure().errorText : '';
    if (why !== 'net::ERR_ABORTED') result.failed_requests.push({ url: request.url(), why });
  });
  context.on('response', (response) => {
    if (response.status() >= 400) result.failed_requests.push({ url: response.url(), why: `HTTP ${response.status()}` });
  });
  page.on('pageerror', (error) => result.errors.push(String(process.env.STACKS ? error.stack : error.message || error)));
  page.on('console', (message) => {
    // A directive that this browser does not know refuses nothing.
    if (/Unrecognized Content-Security-Policy directive/.test(message.text())) return;
    if (/Content Security Policy|Content-Security-Policy/.test(message.text())) result.errors.push(message.text());
  });
}

// Another port of the same device is its own origin, and so is a lesson's own name under localhost; another host is not the device.
export function allowExercises(shelf, base, allowed) {
  for (const item of shelf.lessons.flatMap((l) => l.items || []).filter((i) => i.kind === 'html5')) {
    const url = new URL(item.url, base);
    if (url.hostname === new URL(base).hostname || url.hostname.endsWith('.localhost')) allowed.add(url.origin);
  }
}

// What the page itself says is wrong.
export const pageSays = (page) => page.evaluate(() => [...document.querySelectorAll('.message')].map((m) => m.innerText.replace(/\s+/g, ' ')).join(' / '));

// The whole shelf as the agent tells it, asked by the page.
export const readShelf = (page) => page.evaluate(() => new Promise((done, failed) => {
  const ask = new XMLHttpRequest();
  ask.open('GET', 'api/shelf');
  ask.onload = () => done(JSON.parse(ask.responseText));
  ask.onerror = () => failed(new Error('api/shelf did not answer'));
  ask.send();
}));

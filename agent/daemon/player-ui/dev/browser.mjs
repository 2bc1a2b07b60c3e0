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
    const response = await route.fetch();
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

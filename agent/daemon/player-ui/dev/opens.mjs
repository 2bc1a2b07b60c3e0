// Opens videos of a running player again and again and takes the time from the tap to the first drawn frame.
//
//   BASE_URL=http://127.0.0.1:8008/ OPENS=1000 node dev/opens.mjs
//
// BASE_URL  address of the player (required)
// OPENS     how many opens (default 1000), over all videos of ready lessons in turn
// LESSONS   comma list of lesson ids to look among (default: every ready one)
// CHROMIUM  browser (default /usr/bin/chromium)
//
// Each open is a teacher's: the lesson's page by its own route, a tap on the video's row, then Back. The clock runs in the page,
// from pointerdown to the moment the engine says that a frame was put on the screen (requestVideoFrameCallback); engines that
// cannot say so are asked for `playing` with the time moving. The browser keeps nothing: every open reads from the agent anew.
//
// Prints one JSON object {ok, opens, by: "frame"|"playing", videos, p50_ms, p95_ms, p99_ms, max_ms, outside:[…], failed:[…]};
// exit code 0 only when every open showed a frame and nothing but the player was asked. No figure is judged here.
import { readShelf, watch, withBrowser } from './browser.mjs';

const base = process.env.BASE_URL || process.argv[2];
if (!base) {
  console.error('BASE_URL is not set: give the address of the player, e.g. BASE_URL=http://127.0.0.1:8008/');
  process.exit(2);
}
const opens = Number(process.env.OPENS || 1000);
const only = (process.env.LESSONS || '').split(',').filter(Boolean);
const WAIT = { timeout: 20000 };
const result = { ok: false, opens: 0, by: 'frame', videos: 0, requests: 0, outside: [], failed: [], failed_requests: [], errors: [] };
const took = [];

// In the page: one tap, one first frame.
function hook() {
  let tapped = 0;
  window.__opened = null;
  document.addEventListener('pointerdown', () => { tapped = performance.now(); window.__opened = null; }, true);
  const shown = (by) => { if (tapped && !window.__opened) window.__opened = { ms: performance.now() - tapped, by }; };
  const meet = (video) => {
    if (video.__met) return;
    video.__met = true;
    if (video.requestVideoFrameCallback) { video.requestVideoFrameCallback(() => shown('frame')); return; }
    video.addEventListener('timeupdate', () => { if (!video.paused && video.currentTime > 0) shown('playing'); });
  };
  new MutationObserver(() => document.querySelectorAll('video').forEach(meet)).observe(document, { childList: true, subtree: true });
}

const at = (sorted, share) => Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]);

await withBrowser({}, async (context) => {
  const page = context.pages()[0] || await context.newPage();
  watch(context, page, result, new Set([new URL(base).origin]));
  await page.addInitScript(hook);
  const devtools = await context.newCDPSession(page);
  await devtools.send('Network.enable');
  await devtools.send('Network.setCacheDisabled', { cacheDisabled: true });
  await page.goto(base);
  await page.waitForSelector('.view-home .hero', WAIT);
  const shelf = await readShelf(page);
  const videos = shelf.lessons.filter((l) => l.state === 'ready' && (!only.length || only.includes(l.id)))
    .flatMap((lesson) => (lesson.items || []).map((item, index) => ({ id: lesson.id, index, kind: item.kind })))
    .filter((one) => one.kind === 'video');
  if (!videos.length) throw new Error('no ready lesson holds a video');
  result.videos = videos.length;
  for (let n = 0; n < opens; n += 1) {
    const { id, index } = videos[n % videos.length];
    try {
      await page.evaluate((hash) => { window.location.hash = hash; }, `#/lesson/${encodeURIComponent(id)}`);
      await page.waitForFunction(() => !document.querySelector('video'), null, WAIT);
      await page.locator(`[data-item="${index}"]`).click(WAIT);
      const opened = await (await page.waitForFunction(() => window.__opened, null, WAIT)).jsonValue();
      took.push(opened.ms);
      result.by = opened.by;
      if (took.length % 100 === 0) console.error(`${took.length} opens`);
    } catch (error) {
      result.failed.push({ open: n, lesson: id, why: String(error.message || error).split('\n')[0] });
      if (result.failed.length > 20) break;
    }
  }
});

took.sort((a, b) => a - b);
result.opens = took.length;
if (took.length) Object.assign(result, { p50_ms: at(took, 0.5), p95_ms: at(took, 0.95), p99_ms: at(took, 0.99), max_ms: Math.round(took[took.length - 1]) });
result.outside = [...new Set(result.outside)];
result.ok = took.length === opens && !result.outside.length && !result.failed.length && !result.errors.length && !result.failed_requests.length;
console.log(JSON.stringify(result));
process.exit(result.ok ? 0 : 1);

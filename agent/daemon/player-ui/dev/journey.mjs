// A teacher's way through a running player: opens a video, a document and an exercise, whatever lessons are there.
//
//   BASE_URL=http://127.0.0.1:8008/ node dev/journey.mjs
//
// BASE_URL         address of the player (required)
// LESSONS          comma list of lesson ids to look among (default: every ready one)
// KINDS            kinds that must be there (default video,pdf,html5); a kind that is missing is a failure
// ALLOWED_ORIGINS  further origins that may be asked; the player's own and those of its exercises are allowed anyway
// SHOTS            folder for a screenshot of each step
// OLD_ENGINE=1     takes away what came after Chrome 61
// CHROMIUM         browser (default /usr/bin/chromium)
//
// Prints one JSON object {ok, checks:[{name, ok, ms, …}], requests, outside:[…], failed_requests:[…], errors:[…]};
// exit code 0 only when ok.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { allowExercises, oldEngine, pageSays, readShelf, watch, withBrowser } from './browser.mjs';

const base = process.env.BASE_URL || process.argv[2];
if (!base) {
  console.error('BASE_URL is not set: give the address of the player, e.g. BASE_URL=http://127.0.0.1:8008/');
  process.exit(2);
}
const list = (name, fallback) => (process.env[name] || fallback).split(',').map((s) => s.trim()).filter(Boolean);
const kinds = list('KINDS', 'video,pdf,html5');
const only = list('LESSONS', '');
const shots = process.env.SHOTS;
const WAIT = { timeout: 20000 };

const result = { ok: false, base, checks: [], requests: 0, outside: [], failed_requests: [], errors: [] };
const allowed = new Set([new URL(base).origin, ...list('ALLOWED_ORIGINS', '')]);

// What the page itself says is wrong.
let said = async () => '';

async function check(name, work) {
  const began = Date.now();
  try {
    result.checks.push({ name, ok: true, ms: 0, ...(await work()) });
  } catch (error) {
    const shown = await said().catch(() => '');
    const reason = String(error.message || error).split('\n')[0];
    result.checks.push({ name, ok: false, ms: 0, reason: shown ? `${reason} (the page says: ${shown})` : reason });
  }
  result.checks[result.checks.length - 1].ms = Date.now() - began;
}

function must(condition, text) { if (!condition) throw new Error(text); }

await withBrowser({}, async (context) => {
  const page = context.pages()[0] || await context.newPage();
  watch(context, page, result, allowed);
  if (process.env.OLD_ENGINE) {
    await oldEngine(page);
  }
  said = () => pageSays(page);
  const shoot = async (name) => {
    if (!shots) return;
    mkdirSync(shots, { recursive: true });
    await page.screenshot({ path: join(shots, `${name}.png`) });
  };

  let shelf = { lessons: [] };
  const find = (kind) => {
    for (const lesson of shelf.lessons) {
      if (lesson.state !== 'ready' || (only.length && !only.includes(lesson.id))) continue;
      const index = lesson.items.findIndex((item) => item.kind === kind);
      if (index >= 0) return { lesson, index, item: lesson.items[index] };
    }
    throw new Error(`no ready lesson holds an item of kind ${kind}`);
  };
  // By touch, as a teacher goes: shelf, lesson, item.
  const open = async (kind) => {
    const found = find(kind);
    await page.goto(new URL('#/shelf', base).href);
    const card = page.locator(`.view-shelf [data-lesson="${found.lesson.id}"]`);
    // The shelf shows a screenful at a time.
    for (let turned = 0; turned < 200; turned += 1) {
      await page.waitForSelector('.view-shelf .card', WAIT);
      if (await card.count()) break;
      const before = await page.innerText('.page-count');
      await page.click('.button-page >> nth=1', WAIT);
      await page.waitForFunction((was) => document.querySelector('.page-count').innerText !== was, before, WAIT);
    }
    await card.click(WAIT);
    await page.locator(`[data-item="${found.index}"]`).click(WAIT);
    return found;
  };

  await check('shelf', async () => {
    const response = await page.goto(base);
    must(response.ok(), `the player answered ${response.status()}`);
    await page.waitForSelector('.view-home .hero', WAIT);
    await shoot('home');
    await page.goto(new URL('#/shelf', base).href);
    await page.waitForSelector('.view-shelf .card', WAIT);
    shelf = await readShelf(page);
    allowExercises(shelf, base, allowed);
    await shoot('shelf');
    return { lessons: shelf.lessons.length, ready: shelf.lessons.filter((l) => l.state === 'ready').length };
  });

  if (kinds.includes('video')) {
    await check('video', async () => {
      const { lesson, item } = await open('video');
      const state = () => page.evaluate(() => {
        const v = document.querySelector('video');
        return { time: v.currentTime, duration: v.duration, error: v.error && v.error.message, width: v.videoWidth };
      });
      await page.waitForFunction(() => { const v = document.querySelector('video'); return v && v.readyState >= 2; }, null, WAIT);
      const first = await state();
      // A browser that wants a touch before sound shows the large button.
      if (await page.evaluate(() => document.querySelector('video').paused)) await page.click('.big-play');
      await page.waitForFunction((from) => document.querySelector('video').currentTime > from + 1, first.time, WAIT);
      const played = await state();
      must(played.width > 0, 'the video has no picture');
      await shoot('video');
      // The seek by touch: on the bar, at 80 % of its width.
      await page.mouse.move(900, 500);
      await page.mouse.move(910, 510);
      const bar = await page.locator('.seek .slider').boundingBox();
      await page.mouse.click(bar.x + bar.width * 0.8, bar.y + bar.height / 2);
      await page.waitForFunction(() => { const v = document.querySelector('video'); return !v.seeking && Math.abs(v.currentTime / v.duration - 0.8) < 0.1; }, null, WAIT);
      const sought = await state();
      if (sought.duration > 10) {
        await page.waitForFunction((from) => document.querySelector('video').currentTime > from + 0.5, sought.time, WAIT);
      }
      const subtitles = await page.evaluate(() => [...document.querySelectorAll('track')].filter((x) => x.track.cues && x.track.cues.length).length);
      must(!(item.subtitles || []).length || subtitles > 0, 'no subtitle track was read');
      return { lesson: lesson.id, started_at_s: first.time, advanced_to_s: played.time, seek_to_s: sought.time, duration_s: sought.duration, subtitle_tracks: subtitles };
    });
  }

  if (kinds.includes('pdf')) {
    await check('pdf', async () => {
      const { lesson } = await open('pdf');
      await page.waitForSelector('.pdf-page[data-drawn="yes"] canvas', WAIT);
      await shoot('pdf');
      const drawn = await page.evaluate(() => {
        const canvas = document.querySelector('.pdf-page canvas');
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let ink = 0;
        for (let i = 0; i < data.length; i += 4) if (data[i] + data[i + 1] + data[i + 2] < 600) ink += 1;
        return { width: canvas.width, height: canvas.height, ink, pages: document.querySelectorAll('.pdf-page').length,
          canvases: document.querySelectorAll('.pdf-page canvas').length };
      });
      must(drawn.ink > 100, `the page is blank: ${drawn.ink} dark pixels`);
      if (drawn.pages > 1) {
        await page.keyboard.press('ArrowRight');
        await page.waitForSelector('.pdf-page[data-page="2"][data-drawn="yes"]', WAIT);
      }
      return { lesson: lesson.id, ...drawn };
    });
  }

  if (kinds.includes('html5')) {
    await check('html5', async () => {
      const { lesson, item } = await open('html5');
      const frame = page.frameLocator('iframe.exercise-frame');
      await page.waitForSelector('iframe.exercise-loaded', WAIT);
      const target = frame.locator('button:visible, input[type=button]:visible, input[type=radio]:visible, a[href]:visible, [onclick]:visible, label:visible').first();
      await target.waitFor({ state: 'visible', ...WAIT });
      // "Works" without knowing the exercise: the touch reaches a handler's page and, where the page answers, it changes.
      const inner = await (await page.$('iframe.exercise-frame')).contentFrame();
      const text = () => inner.evaluate(() => document.documentElement.outerHTML);
      await inner.evaluate(() => { window.__touched = 0; document.addEventListener('click', () => { window.__touched += 1; }, true); });
      const before = await text();
      await target.click(WAIT);
      must(await inner.evaluate(() => window.__touched) > 0, 'the touch did not reach the exercise');
      let changed = false;
      for (let i = 0; i < 30 && !changed; i += 1) {
        changed = await text() !== before;
        if (!changed) await page.waitForTimeout(100);
      }
      must(changed, 'the exercise did not answer the touch');
      await shoot('html5');
      const origin = await inner.evaluate(() => self.origin);
      must(origin !== new URL(page.url()).origin && origin !== new URL(base).origin, 'the exercise runs in the origin of the player');
      const reaches = await inner.evaluate(() => { try { return Boolean(window.parent.document); } catch { return false; } });
      must(!reaches, 'the exercise can read the page of the player');
      return { lesson: lesson.id, url: item.url, origin, changed };
    });
  }

  for (const kind of ['audio', 'image']) {
    if (!kinds.includes(kind)) continue;
    await check(kind, async () => {
      const { lesson } = await open(kind);
      if (kind === 'audio') {
        await page.waitForFunction(() => { const a = document.querySelector('audio'); return a && a.readyState >= 2; }, null, WAIT);
        if (await page.evaluate(() => document.querySelector('audio').paused)) await page.click('.audio-play');
        const from = await page.evaluate(() => document.querySelector('audio').currentTime);
        await page.waitForFunction((at) => document.querySelector('audio').currentTime > at + 0.8, from, WAIT);
      } else {
        await page.waitForFunction(() => { const i = document.querySelector('.picture-img'); return i && i.complete && i.naturalWidth > 0; }, null, WAIT);
      }
      await shoot(kind);
      return { lesson: lesson.id };
    });
  }
});

result.outside = [...new Set(result.outside)];
result.ok = result.checks.every((c) => c.ok) && !result.outside.length && !result.failed_requests.length && !result.errors.length;
console.log(JSON.stringify(result, null, 2));
process.exit(result.ok ? 0 : 1);

// A teacher's lesson by touch, on the two sizes of a board: home → search by initials → play → seek → subtitle → document →
// exercise → USB disk → fault report. Runs against any player that holds ready lessons.
//
//   BASE_URL=http://127.0.0.1:8008/ node dev/teacher.mjs
//
// BASE_URL      address of the player (required)
// SHOTS         folder for a screenshot of each step and size
// SIZES         default 1920x1080,3840x2160
// USB           yes (default: a disk with a video must be plugged in), no (the step is left out)
// DEV=1         the sample server: plugs its disk in by itself
// STEPS         which steps (default all): home,search,play,seek,subtitle,pdf,html5,usb,fault
// OLD_ENGINE=1, CHROMIUM   as in journey.mjs
//
// Prints one JSON object {ok, sizes:[{size, steps:[{name, ok, ms, …}]}], requests, outside, failed_requests, errors}; exit code 0 only
// when ok.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { allowExercises, oldEngine, pageSays, readShelf, watch, withBrowser } from './browser.mjs';

const base = process.env.BASE_URL || process.argv[2];
if (!base) {
  console.error('BASE_URL is not set: give the address of the player, e.g. BASE_URL=http://127.0.0.1:8008/');
  process.exit(2);
}
const shots = process.env.SHOTS;
const sizes = (process.env.SIZES || '1920x1080,3840x2160').split(',').map((s) => s.split('x').map(Number));
const steps = (process.env.STEPS || 'home,search,play,seek,subtitle,pdf,html5,usb,fault').split(',');
const WAIT = { timeout: 20000 };
const result = { ok: false, base, sizes: [], requests: 0, outside: [], failed_requests: [], errors: [] };
const allowed = new Set([new URL(base).origin]);
const must = (condition, text) => { if (!condition) throw new Error(text); };
if (shots) mkdirSync(shots, { recursive: true });

// The initial of a character's reading: the last of these that does not come after it in the order of pinyin.
const FIRSTS = [...'阿八嚓哒妸发旮哈讥咔垃痳拏噢妑七呥扨它穵夕丫帀'];
const LETTERS = 'abcdefghjklmnopqrstwxyz';
function initials(title) {
  const order = new Intl.Collator('zh-CN-u-co-pinyin');
  let out = '';
  for (const c of title.toLowerCase()) {
    if (/[a-z0-9]/.test(c)) { out += c; continue; }
    if (!/[\u4e00-\u9fff]/.test(c)) { if (out.length >= 3) break; continue; }
    let at = -1;
    while (at + 1 < FIRSTS.length && order.compare(FIRSTS[at + 1], c) <= 0) at += 1;
    out += LETTERS[Math.max(0, at)];
  }
  return out.slice(0, 6);
}

async function lessonOn(width, height) {
  const size = { size: `${width}x${height}`, steps: [] };
  result.sizes.push(size);
  await withBrowser({ viewport: { width, height }, hasTouch: true }, async (context) => {
    const page = context.pages()[0] || await context.newPage();
    page.setDefaultTimeout(WAIT.timeout);
    watch(context, page, result, allowed);
    if (process.env.OLD_ENGINE) await oldEngine(page);
    const tap = (selector) => page.locator(selector).first().tap(WAIT);
    const tapAt = (x, y) => page.touchscreen.tap(x, y);
    const shoot = async (name) => { if (shots) await page.screenshot({ path: join(shots, `${name}-${width}.png`) }); };
    const step = async (name, work) => {
      if (!steps.includes(name)) return;
      const began = Date.now();
      const said = { name, ok: true, ms: 0 };
      try { Object.assign(said, await work()); } catch (error) {
        const shown = await pageSays(page).catch(() => '');
        Object.assign(said, { ok: false, reason: String(error.message || error).split('\n')[0] + (shown ? ` (the page says: ${shown})` : '') });
      }
      said.ms = Date.now() - began;
      size.steps.push(said);
      await shoot(name).catch(() => {});
    };
    const goTo = (hash) => page.evaluate((to) => { window.location.hash = to; }, hash);
    let shelf = { lessons: [] };
    const find = (kind, fits = () => true) => {
      for (const lesson of shelf.lessons) {
        if (lesson.state !== 'ready') continue;
        const index = lesson.items.findIndex((item) => item.kind === kind && fits(item, lesson));
        if (index >= 0) return { lesson, index, item: lesson.items[index] };
      }
      throw new Error(`no ready lesson holds an item of kind ${kind}`);
    };
    // A viewer that hides its controls shows them at a touch.
    const controls = async () => {
      if (await page.evaluate(() => document.body.classList.contains('quiet'))) await tapAt(width / 2, height * 0.3);
      await page.waitForTimeout(300);
    };
    const openItem = async (found) => {
      await goTo(`#/lesson/${encodeURIComponent(found.lesson.id)}`);
      await tap(`[data-item="${found.index}"]`);
    };
    const playing = async () => {
      await page.waitForFunction(() => { const v = document.querySelector('video'); return v && v.readyState >= 2; }, null, WAIT);
      if (await page.evaluate(() => document.querySelector('video').paused)) await tap('.big-play:visible, .button-play:visible');
      const from = await page.evaluate(() => document.querySelector('video').currentTime);
      await page.waitForFunction((at) => document.querySelector('video').currentTime > at + 0.8, from, WAIT);
    };
    let film = null;

    await step('home', async () => {
      await page.goto(base);
      await page.waitForSelector('.view-home .hero', WAIT);
      const paint = await page.evaluate(() => { const p = performance.getEntriesByName('first-contentful-paint')[0]; return p ? Math.round(p.startTime) : null; });
      shelf = await readShelf(page);
      allowExercises(shelf, base, allowed);
      return { first_paint_ms: paint, lessons: shelf.lessons.length, hero: (await page.innerText('.hero')).replace(/\s+/g, ' ').slice(0, 80) };
    });

    await step('search', async () => {
      film = (() => { try { return find('video', (i, l) => (i.subtitles || []).length && /^[\u4e00-\u9fff]/.test(l.meta.title)); } catch { return find('video'); } })();
      const typed = initials(film.lesson.meta.title);
      await goTo('#/');
      await tap('.dock .button-primary');
      await page.waitForSelector('.keyboard');
      const wanted = page.locator(`.results [data-lesson="${film.lesson.id}"]`);
      let keys = 0;
      let last = 0;
      for (const key of typed) {
        const answered = page.waitForResponse((r) => r.url().includes('/api/search'), WAIT);
        const began = Date.now();
        await tap(`.keyboard [data-key="${key}"]`);
        await answered;
        last = Date.now() - began;
        keys += 1;
        if (keys >= 3 && await wanted.count()) break;
      }
      await wanted.first().waitFor(WAIT);
      await shoot('search-results');
      const place = await page.evaluate((id) => [...document.querySelectorAll('.results [data-lesson]')].findIndex((e) => e.getAttribute('data-lesson') === id) + 1, film.lesson.id);
      await wanted.first().tap(WAIT);
      await page.waitForSelector('.view-lesson, .view-item');
      return { title: film.lesson.meta.title, typed: typed.slice(0, keys), place, last_key_to_answer_ms: last };
    });

    await step('play', async () => {
      film = film || find('video');
      if (!await page.locator('.view-lesson').count()) await goTo(`#/lesson/${encodeURIComponent(film.lesson.id)}`);
      const began = Date.now();
      await tap(`[data-item="${film.index}"]`);
      await page.waitForFunction(() => { const v = document.querySelector('video'); return v && v.readyState >= 2; }, null, WAIT);
      const frame = Date.now() - began;
      await playing();
      return { first_frame_ms: frame, picture: await page.evaluate(() => { const v = document.querySelector('video'); return `${v.videoWidth}x${v.videoHeight}`; }) };
    });

    await step('seek', async () => {
      await controls();
      const bar = await page.locator('.seek .slider').boundingBox();
      must(bar, 'there is no bar to seek on');
      await tapAt(bar.x + bar.width * 0.5, bar.y + bar.height / 2);
      await page.waitForFunction(() => { const v = document.querySelector('video'); return !v.seeking && Math.abs(v.currentTime / v.duration - 0.5) < 0.1; }, null, WAIT);
      await playing();
      return { at_s: await page.evaluate(() => document.querySelector('video').currentTime), bar_px: Math.round(bar.height) };
    });

    await step('subtitle', async () => {
      must((film.item.subtitles || []).length, 'the film has no subtitles');
      if (!(await page.locator('.subtitles p').count())) {
        await controls();
        await tap('[aria-label="字幕"]');
        await tap('.popover:not(.hidden) .choice >> nth=1');
      }
      await page.waitForSelector('.subtitles p', WAIT);
      const words = await page.innerText('.subtitles');
      const px = await page.evaluate(() => parseFloat(getComputedStyle(document.querySelector('.subtitles p')).fontSize));
      must(px >= width / 60, `the subtitle is ${px} px on a screen of ${width}`);
      return { words, px };
    });

    await step('pdf', async () => {
      await openItem(find('pdf'));
      await page.waitForSelector('.pdf-page[data-drawn="yes"] canvas', WAIT);
      const ink = await page.evaluate(() => {
        const canvas = document.querySelector('.pdf-page canvas');
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let dark = 0;
        for (let i = 0; i < data.length; i += 4) if (data[i] + data[i + 1] + data[i + 2] < 600) dark += 1;
        return dark;
      });
      must(ink > 100, `the page is blank: ${ink} dark pixels`);
      return { pages: await page.locator('.pdf-page').count(), ink };
    });

    await step('html5', async () => {
      await openItem(find('html5'));
      await page.waitForSelector('iframe.exercise-loaded', WAIT);
      const frame = await (await page.$('iframe.exercise-frame')).contentFrame();
      const target = page.frameLocator('iframe.exercise-frame').locator('button:visible, input[type=button]:visible, input[type=radio]:visible, a[href]:visible, [onclick]:visible, label:visible').first();
      await target.waitFor({ state: 'visible', ...WAIT });
      const text = () => frame.evaluate(() => document.documentElement.outerHTML);
      const before = await text();
      await target.tap(WAIT);
      let changed = false;
      for (let i = 0; i < 30 && !changed; i += 1) { changed = await text() !== before; if (!changed) await page.waitForTimeout(100); }
      must(changed, 'the exercise did not answer the touch');
      const origin = await frame.evaluate(() => self.origin);
      must(origin !== new URL(page.url()).origin && origin !== new URL(base).origin, 'the exercise runs in the origin of the player');
      return { origin };
    });

    if (process.env.USB !== 'no') {
      await step('usb', async () => {
        if (process.env.DEV) await fetch(new URL('/dev', base), { method: 'POST', body: JSON.stringify({ disks: [{ id: 'K1' }] }) });
        await goTo('#/');
        await page.waitForFunction(() => document.querySelector('.disks .banner'), null, WAIT);
        await shoot('usb-plugged');
        await tap('.disks .button[data-open], .disks .button:has-text("打开"), .disks .button:has-text("文件")');
        await page.waitForSelector('.view-usb', WAIT);
        await page.waitForSelector('[data-file][data-kind="video"], .usb-row-video, .usb-rows a', WAIT);
        await shoot('usb-files');
        await tap('[data-file][data-kind="video"], .usb-rows a:has-text(".mp4")');
        await playing();
        return { from: await page.evaluate(() => new URL(document.querySelector('video').currentSrc).pathname) };
      });
    }

    await step('fault', async () => {
      await goTo('#/');
      await page.waitForSelector('.view-home .hero', WAIT);
      await tap('.dock .button:has-text("报修")');
      await tap('[data-class="touch"]');
      await shoot('fault-symptom');
      await tap('[data-symptom="offset"]');
      await page.waitForSelector('.message-done', WAIT);
      return { said: (await page.innerText('.message-done')).replace(/\s+/g, ' ') };
    });
    if (process.env.DEV) await fetch(new URL('/dev', base), { method: 'POST', body: JSON.stringify({ disks: [], world: { faults: [] } }) });
  });
}

for (const [width, height] of sizes) await lessonOn(width, height);
result.outside = [...new Set(result.outside)];
result.ok = result.sizes.every((s) => s.steps.length > 0 && s.steps.every((one) => one.ok)) && !result.outside.length && !result.failed_requests.length && !result.errors.length;
console.log(JSON.stringify(result, null, 2));
process.exit(result.ok ? 0 : 1);

// Every view at the two sizes of a board, from the sample server, into dev/.shots: to be looked at, not compared.
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withBrowser } from './browser.mjs';

const base = process.env.BASE_URL || 'http://127.0.0.1:8008/';
const out = process.env.SHOTS || join(dirname(fileURLToPath(import.meta.url)), '.shots');
const only = (process.env.ONLY || '').split(',').filter(Boolean);
const sizes = [[1920, 1080], [3840, 2160]].concat(process.env.PHONE ? [[420, 860]] : []);
mkdirSync(out, { recursive: true });
const dev = (change) => fetch(new URL('/dev', base), { method: 'POST', body: JSON.stringify(change) });
const item = (n, i) => `#/lesson/lesson-${n}/${i}`;

for (const [width, height] of sizes) {
  await withBrowser({ viewport: { width, height } }, async (context) => {
    const page = context.pages()[0];
    const view = async (name, hash, work) => {
      if (only.length && !only.includes(name)) return;
      await page.goto('about:blank');
      await page.goto(new URL(hash, base).href);
      await page.waitForTimeout(400);
      if (work) await work();
      await page.screenshot({ path: join(out, `${name}-${width}.png`) });
    };
    const unit = width / 1920;
    // Opened by address there was no touch yet, so the browser waits for one before it makes a sound.
    const play = async (selector) => { await page.waitForTimeout(400); if (await page.isVisible(selector)) await page.click(selector); };
    await view('shelf', '#/', () => page.waitForSelector('.card'));
    await view('shelf-filter', `#/?${encodeURIComponent('数学')}&${encodeURIComponent('三年级')}`);
    await view('lesson', '#/lesson/lesson-1');
    await view('lesson-arriving', '#/lesson/lesson-4');
    await view('lesson-failed', '#/lesson/lesson-11');
    await view('video-paused', item(1, 0), () => page.waitForTimeout(500));
    await view('video', item(1, 0), async () => {
      await play('.big-play');
      await page.waitForFunction(() => document.querySelector('video').currentTime > 1.5);
      await page.mouse.move(900 * unit, 600 * unit);
      await page.mouse.move(1400 * unit, 900 * unit);
      await page.waitForTimeout(400);
    });
    await view('video-speed', item(1, 0), async () => {
      await play('.big-play');
      await page.waitForTimeout(800);
      await page.mouse.move(900 * unit, 600 * unit);
      await page.click('.button-speed');
      const bar = await page.locator('.seek .slider').boundingBox();
      await page.mouse.move(bar.x + bar.width * 0.6, bar.y + bar.height / 2);
      await page.waitForTimeout(200);
    });
    await view('video-quiet', item(1, 0), async () => { await play('.big-play'); await page.waitForTimeout(5000); });
    await view('video-resumed', item(1, 0), async () => {
      await play('.big-play');
      await page.evaluate(() => { document.querySelector('video').currentTime = 47; });
      await page.waitForTimeout(300);
      await page.click('.button-back');
      await page.click('[data-item="0"]');
      await page.waitForSelector('.toast:not(.hidden)');
      await page.waitForTimeout(600);
    });
    await view('video-after', item(1, 0), async () => {
      await play('.big-play');
      await page.evaluate(() => { document.querySelector('video').currentTime = 89.5; });
      await page.waitForSelector('.after:not(.hidden)');
      await page.waitForTimeout(300);
    });
    await view('video-volume', item(1, 0), async () => {
      await play('.big-play');
      await page.click('[aria-label="音量"]');
      await page.waitForTimeout(300);
    });
    await view('audio', item(1, 4), async () => { await play('.audio-play'); await page.waitForTimeout(1200); });
    await view('audio-lines', item(1, 4), async () => {
      await page.click('[aria-label="字幕"]');
      await page.click('.popover:not(.hidden) .choice:last-child');
      await page.evaluate(() => { document.querySelector('audio').currentTime = 16; });
      await page.waitForTimeout(900);
    });
    await view('image', item(1, 3), () => page.waitForTimeout(600));
    await view('pdf', item(1, 5), () => page.waitForSelector('[data-drawn]'));
    await view('slides', item(1, 1), () => page.waitForSelector('[data-drawn]'));
    await view('oldfont', item(14, 0), () => page.waitForSelector('[data-drawn]'));
    await view('pdf-broken', item(14, 1), () => page.waitForSelector('.stage-fail'));
    await view('exercise', item(1, 2), () => page.waitForSelector('.exercise-loaded'));
    await view('office', item(1, 6));
    await view('info', '#/', () => page.click('.status'));
    await dev({ online: false, console_seen_s: 9000, notices: [{ level: 'standard', title: '下午停电通知', text: '今天 15:30 至 17:00 学校检修线路，请提前保存课件并关闭多媒体设备。' }] });
    await view('offline-notice', '#/', () => page.waitForSelector('.notice'));
    await view('video-notice', item(1, 0), () => page.waitForSelector('.notice'));
    await dev({ notices: [{ level: 'urgent', title: '暴雨红色预警', text: '请各班立即停止户外活动，学生留在教室内，\n班主任清点人数并报告值班领导。' }] });
    await view('urgent', '#/', () => page.waitForSelector('.urgent'));
    await dev({ online: true, console_seen_s: 12, notices: [] });
    if (!only.length || only.includes('english')) {
      await page.evaluate(() => localStorage.setItem('bbt.language', 'en'));
      await view('english', '#/', () => page.waitForSelector('.card'));
      await view('english-video', item(1, 0), () => page.waitForTimeout(1000));
    }
  });
}

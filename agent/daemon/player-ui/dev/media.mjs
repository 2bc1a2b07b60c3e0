// The viewers and the tools: frames, A–B, sentences, resume, pages, pen, gallery, office by its pages, timer, seats, a teacher's
// disk, keys, sizes. Needs the sample server (npm run serve): BASE_URL=http://127.0.0.1:8008/ node dev/media.mjs
// ONLY=word runs those with the word in their name; SHOTS=folder keeps pictures at both sizes of a board, to be looked at.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { withBrowser } from './browser.mjs';

const base = process.env.BASE_URL || 'http://127.0.0.1:8008/';
const shots = process.env.SHOTS;
const dev = (change) => fetch(new URL('/dev', base), { method: 'POST', body: JSON.stringify(change) });
const file = (name) => `/files/sample/${name}`;
const pages = ['slide.png', 'map.png', 'slide.png'].map(file);
// One lesson with all that can be shown, put over whatever the server has.
const ITEMS = [
  { kind: 'video', title: '内角和的秘密', url: file('angles.mp4'), download: file('angles.mp4'), duration_ms: 90000, subtitles: [{ lang: 'zh-CN', label: '简体中文', url: file('angles.zh-CN.vtt') }, { lang: 'en', label: 'English', url: file('angles.en.vtt') }] },
  { kind: 'audio', title: 'Unit 1  My school', url: file('listening.mp3'), download: file('listening.mp3'), duration_ms: 40000, subtitles: [{ lang: 'en', label: 'English', url: file('listening.en.vtt') }] },
  { kind: 'audio', title: '听力（没有字幕）', url: file('listening.mp3'), download: file('listening.mp3'), duration_ms: 40000, subtitles: [] },
  { kind: 'image', title: '三峡示意图', url: file('map.png'), download: file('map.png'), subtitles: [] },
  { kind: 'image', title: '三角形', url: file('slide.png'), download: file('slide.png'), subtitles: [] },
  { kind: 'pdf', title: '课文《观潮》', url: file('textbook.pdf'), download: file('textbook.pdf'), subtitles: [] },
  { kind: 'pdf', title: '圆的面积 讲解', url: file('slides.pdf'), download: file('slides.pdf'), subtitles: [] },
  { kind: 'office', title: '教学课件', url: file('game.pptx'), download: file('game.pptx'), converted: file('slides.pdf'), subtitles: [] },
  { kind: 'office', title: '旧课件', url: file('game.pptx'), download: file('game.pptx'), pages, subtitles: [] },
  { kind: 'office', title: '只有原文件', url: file('game.pptx'), download: file('game.pptx'), subtitles: [] },
];
const LESSON = { id: 'lesson-1', version: 1, state: 'ready', meta: { title: '三角形的内角和', subject: '数学', grade: '四年级' }, title: '三角形的内角和', subject: '数学', grade: '四年级', items: ITEMS };
const [VIDEO, AUDIO, PLAIN, PICTURE, , BOOK, SLIDES, CONVERTED, PAGED, ORIGINAL] = ITEMS.keys();
let failed = 0;

async function test(name, work, options = {}) {
  if (process.env.ONLY && !name.includes(process.env.ONLY)) return;
  await withBrowser({ viewport: { width: 1920, height: 1080 }, acceptDownloads: true, ...options }, async (context) => {
    const page = context.pages()[0];
    const errors = [];
    const uses = [];
    page.on('pageerror', (error) => errors.push(error.message));
    page.setDefaultTimeout(8000);
    await context.route('**/api/lessons/lesson-1', (route) => route.fulfill({ json: options.lesson || LESSON }));
    await context.route('**/api/use', (route) => { uses.push(route.request().postDataJSON()); route.fulfill({ status: 204, body: '' }); });
    try {
      await page.goto(base);
      await page.waitForSelector('.dock button');
      await work(page, uses, context);
      assert.deepEqual(errors, []);
      console.log(`ok    ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL  ${name}: ${String(error.message).split('\n').slice(0, 8).join(' | ')}`);
    }
  });
}
const go = async (page, hash, selector) => {
  await page.evaluate((to) => { window.location.hash = to; }, hash);
  await page.waitForSelector(selector);
};
const item = (page, n, selector) => go(page, `#/lesson/lesson-1/${n}`, selector);
// By the debugger, which the page's policy does not bind.
const media = (page, kind, code) => page.evaluate(`(() => { const m = document.querySelector('${kind}'); return m && (${code}); })()`);
const until = async (page, kind, code) => {
  for (const end = Date.now() + 10000; ;) {
    if (await media(page, kind, code)) return;
    if (Date.now() > end) throw new Error(`waited in vain for ${kind}: ${code}`);
    await page.waitForTimeout(40);
  }
};
const playing = async (page, kind) => {
  await until(page, kind, 'm.readyState >= 2');
  await page.evaluate((k) => { const m = document.querySelector(k); m.muted = true; return m.play(); }, kind);
};

await test('one frame on and one back, exactly, in a file of 24 frames a second', async (page) => {
  await item(page, VIDEO, 'video');
  await page.click('.button-precise');
  await page.evaluate(() => { window.__shown = []; const v = document.querySelector('video'); const f = (now, frame) => { window.__shown.push(frame.mediaTime); v.requestVideoFrameCallback(f); }; v.requestVideoFrameCallback(f); });
  await playing(page, 'video');
  // Long enough to be measured: the rate is in no place where a page could read it.
  await until(page, 'video', 'm.currentTime > 3 && window.__shown.length > 20');
  await page.click('.button-frame-forward');
  await until(page, 'video', 'm.paused && !m.seeking');
  const first = await media(page, 'video', 'm.currentTime');
  for (let n = 0; n < 5; n += 1) { await page.click('.button-frame-forward'); await until(page, 'video', '!m.seeking'); }
  const after = await media(page, 'video', 'm.currentTime');
  assert.ok(Math.abs((after - first) * 24 - 5) < 0.02, `${(after - first) * 24} frames for five steps, shown ${await page.evaluate(() => window.__shown.map((at) => (at * 24).toFixed(2)).join())}`);
  // In the middle of a frame: neither rounding down nor up shows the one beside it.
  assert.ok(Math.abs((after * 24) % 1 - 0.5) < 0.01, `${(after * 24) % 1} of a frame`);
  for (let n = 0; n < 5; n += 1) { await page.keyboard.press('['); await until(page, 'video', '!m.seeking'); }
  assert.ok(Math.abs(await media(page, 'video', 'm.currentTime') - first) < 0.001);
});

await test('A–B goes round and round, the bar shows it, and ends when told', async (page) => {
  await item(page, VIDEO, 'video');
  await playing(page, 'video');
  await page.evaluate(() => { document.querySelector('video').currentTime = 20; });
  await until(page, 'video', '!m.seeking && m.currentTime >= 20');
  await page.click('.button-precise');
  await page.click('.button-mark-a');
  await until(page, 'video', 'm.currentTime > 20.9');
  await page.click('.button-mark-b');
  const [a, b] = await page.evaluate(() => { const s = document.querySelector('.slider-part'); return [parseFloat(s.style.left), parseFloat(s.style.width)]; });
  assert.ok(a > 20 && b > 0.5, `part at ${a} %, ${b} % wide`);
  await page.evaluate(() => { window.__most = 0; window.__turns = 0; let last = 0; window.setInterval(() => { const now = document.querySelector('video').currentTime; if (now < last) window.__turns += 1; last = now; window.__most = Math.max(window.__most, now); }, 10); });
  await page.waitForFunction(() => window.__turns >= 2);
  assert.ok(await page.evaluate(() => window.__most) < 22.5);
  await page.click('.button-mark-none');
  await until(page, 'video', 'm.currentTime > 23');
});

await test('a film goes on where the board remembers it, not where this page does', async (page) => {
  await item(page, VIDEO, 'video');
  await until(page, 'video', 'm.currentTime >= 61 && m.currentTime < 65');
  assert.match(await page.innerText('.toast'), /1:01/);
}, { lesson: { ...LESSON, items: ITEMS.map((one, n) => (n === VIDEO ? { ...one, position_ms: 61000 } : one)) } });

await test('use is told: opened, playing, paused; and a document while it is worked at', async (page, uses) => {
  await item(page, VIDEO, 'video');
  await playing(page, 'video');
  await until(page, 'video', 'm.currentTime > 0.3');
  await page.keyboard.press(' ');
  await page.waitForFunction(() => document.querySelector('video').paused);
  await item(page, BOOK, '[data-drawn]');
  await page.click('.button-back');
  await page.waitForSelector('.view-lesson');
  await page.waitForTimeout(300);
  const said = uses.map((one) => `${one.item}:${one.event}`);
  assert.deepEqual(said, [`${VIDEO}:opened`, `${VIDEO}:playing`, `${VIDEO}:paused`, `${BOOK}:opened`, `${BOOK}:playing`, `${BOOK}:paused`]);
  const paused = uses[2];
  assert.ok(paused.position_ms > 200 && Math.abs(paused.duration_ms - 90000) < 100, JSON.stringify(paused));
  assert.deepEqual(Object.keys(paused).sort(), ['duration_ms', 'event', 'item', 'lesson', 'position_ms', 'version']);
});

await test('sentences by their silences where a recording brings no words, repeated without end', async (page) => {
  await item(page, PLAIN, '.audio');
  await playing(page, 'audio');
  await page.waitForSelector('.audio[data-sentences]');
  // Eight sentences, five seconds apart, the first 0.6 s of each silent.
  assert.equal(await page.getAttribute('.audio', 'data-sentences'), '8');
  await page.click('[aria-label="下一句"]');
  await until(page, 'audio', 'm.currentTime > 5.2 && m.currentTime < 6.6');
  await page.click('.button-repeat');
  await page.evaluate(() => { document.querySelector('audio').currentTime = 9.6; });
  await until(page, 'audio', 'm.currentTime > 5.2 && m.currentTime < 7');
});

await test('sentences by the words', async (page) => {
  await item(page, AUDIO, '.audio');
  await playing(page, 'audio');
  await until(page, 'audio', 'm.textTracks[0].cues && m.textTracks[0].cues.length === 8');
  await page.keyboard.press('PageDown');
  await until(page, 'audio', 'm.currentTime >= 5 && m.currentTime < 6');
});

await test('pages: a strip to choose from, two side by side, one whole, wide', async (page) => {
  await item(page, BOOK, '[data-drawn]');
  await page.click('.button-strip');
  await page.waitForSelector('.pdf-small[data-drawn]');
  await page.click('[data-small="3"]');
  await page.waitForFunction(() => document.querySelector('.tool-page').textContent.startsWith('3 /'));
  await page.click('.button-two');
  await page.waitForSelector('.pdf-pair');
  const [left, right] = await page.evaluate(() => [3, 4].map((n) => { const b = document.querySelector(`[data-page="${n}"]`).getBoundingClientRect(); return [b.left, b.right, b.top, b.height]; }));
  assert.ok(left[1] <= right[0] && Math.abs(left[2] - right[2]) < 2, 'side by side');
  assert.ok(left[3] <= await page.evaluate(() => document.querySelector('.pdf').clientHeight), 'whole');
  await page.keyboard.press('ArrowRight');
  await page.waitForFunction(() => document.querySelector('.tool-page').textContent.startsWith('5 /'));
  await page.click('.button-fit');
  await page.waitForFunction(() => !document.querySelector('.pdf-pair'));
  await page.waitForSelector('[data-page="5"][data-drawn]');
});

const BROKEN = { ...LESSON, items: [
  { kind: 'video', title: '没有的视频', url: file('none.mp4'), download: file('none.mp4'), duration_ms: 1000, subtitles: [] },
  { kind: 'image', title: '没有的图', url: file('none.png'), download: file('none.png'), subtitles: [] },
  { kind: 'pdf', title: '不是 PDF', url: file('map.png'), download: file('map.png'), subtitles: [] },
] };
await test('what cannot be shown is told to the board by a code, and not again and again', async (page, uses, context) => {
  const told = [];
  await context.route('**/api/trouble', (route) => { told.push(route.request().postDataJSON()); route.fulfill({ status: 204, body: '' }); });
  for (const [n, code] of ['MEDIA_ERR_SRC_NOT_SUPPORTED', 'PICTURE', 'PDF_BROKEN'].entries()) {
    await item(page, n, '.stage-fail');
    for (let i = 0; i < 40 && told.length <= n; i += 1) await page.waitForTimeout(100);
    assert.deepEqual(told[n], { code, lesson: 'lesson-1' });
  }
  const errors = await page.evaluate(() => new Promise((done) => {
    for (let i = 0; i < 30; i += 1) window.BBT.trouble(`TRY_${i}`, null);
    window.BBT.trouble('TRY_0 李老师 <b>', null);
    setTimeout(done, 500);
  }));
  assert.equal(errors, undefined);
  assert.equal(told.length, 12, 'twelve in ten minutes');
  assert.ok(told.every((one) => /^[A-Za-z0-9_.:-]+$/.test(one.code)));
}, { lesson: BROKEN });

await test('the pen stays with its page, is undone, and is never kept without being asked for', async (page, uses, context) => {
  await item(page, SLIDES, '[data-drawn]');
  const writes = [];
  context.on('request', (request) => { if (request.method() !== 'GET' && !request.url().endsWith('/api/use')) writes.push(request.url()); });
  await page.click('.button-pen');
  const box = await page.locator('[data-page="1"]').boundingBox();
  const stroke = async (y) => {
    await page.mouse.move(box.x + 200, box.y + y);
    await page.mouse.down();
    await page.mouse.move(box.x + 700, box.y + y + 60, { steps: 12 });
    await page.mouse.up();
  };
  const ink = () => page.evaluate(() => { const c = document.querySelector('[data-page="1"] .pen-canvas'); if (!c) return 0; const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0; for (let i = 3; i < d.length; i += 4) if (d[i] > 100) n += 1; return n; });
  await stroke(200);
  const one = await ink();
  assert.ok(one > 500, `${one} points of ink`);
  await stroke(300);
  assert.ok(await ink() > one * 1.5);
  await page.click('.button-undo');
  assert.ok(Math.abs(await ink() - one) < one * 0.05);
  // Another size, and away and back: it is on its page still.
  await page.click('[aria-label="放大"]');
  await page.waitForTimeout(400);
  assert.ok(await ink() > one);
  await page.click('.button-next');
  await page.waitForSelector('.desk-ask');
  assert.match(page.url(), new RegExp(`/${SLIDES}$`));
  await page.click('.desk-ask .button:has-text("继续写")');
  // Saved only through a question.
  let saved = null;
  page.on('download', (download) => { saved = download.suggestedFilename(); });
  await page.click('.button-save');
  await page.click('.desk-ask .button:has-text("不保存")');
  await page.waitForTimeout(200);
  assert.equal(saved, null);
  await page.click('.button-save');
  await page.click('.desk-ask .button-primary');
  await page.waitForFunction(() => true);
  for (let n = 0; n < 40 && !saved; n += 1) await page.waitForTimeout(50);
  assert.match(saved, /\.png$/);
  await page.click('.button-back');
  await page.click('.desk-ask .button-primary');
  await page.waitForSelector('.view-lesson');
  assert.deepEqual(writes, []);
  assert.ok(!(await page.evaluate(() => JSON.stringify(window.localStorage))).includes('pen'));
});

await test('pictures are a gallery: strip, sweep, keys', async (page) => {
  await item(page, PICTURE, '.gallery-one');
  assert.equal(await page.locator('.gallery-one').count(), 2);
  await page.mouse.move(1400, 500);
  await page.mouse.down();
  await page.mouse.move(700, 500, { steps: 6 });
  await page.mouse.up();
  await page.waitForFunction((n) => window.location.hash.endsWith(`/${n}`), PICTURE + 1);
  await page.keyboard.press('ArrowLeft');
  await page.waitForFunction((n) => window.location.hash.endsWith(`/${n}`), PICTURE);
});

await test('office files by their pages, with the original to take along', async (page) => {
  await item(page, CONVERTED, '[data-drawn]');
  assert.equal(await page.getAttribute('.button-original', 'download'), '教学课件');
  await item(page, PAGED, '.gallery-one');
  assert.equal(await page.locator('.gallery-one').count(), 3);
  await page.keyboard.press('PageDown');
  await page.waitForFunction(() => document.querySelectorAll('.gallery-one')[1].classList.contains('gallery-on'));
  assert.equal(await page.locator('.button-original').count(), 1);
  await item(page, ORIGINAL, '.button-original');
});

await test('look here: dark at once by button, by key and by clicker, and what plays stops', async (page) => {
  await item(page, VIDEO, 'video');
  await playing(page, 'video');
  for (const press of [() => page.keyboard.press('.'), () => page.keyboard.press('b'), async () => { await page.click('.button-tools'); await page.click('.popover-tools .button:has-text("看这里")'); }]) {
    await press();
    await page.waitForSelector('.dark');
    assert.ok(await media(page, 'video', 'm.paused'));
    await page.mouse.click(900, 500);
    await page.waitForFunction(() => !document.querySelector('.dark'));
    await page.waitForTimeout(100);
  }
});

await test('the timer counts on over other items and says when it is over', async (page) => {
  await item(page, PICTURE, '.picture');
  await page.click('.button-tools');
  await page.click('.popover-tools .button:has-text("计时")');
  await page.click('.desk-timer .button:has-text("1 分钟")');
  await page.click('[aria-label="少 30 秒"]');
  assert.equal(await page.innerText('.timer-face'), '0:30');
  await page.evaluate(() => { const real = Date.now; window.__shift = 0; Date.now = () => real() + window.__shift; });
  await page.click('.desk-timer .button-primary');
  await page.click('.desk-close');
  await page.click('.button-next');
  await page.waitForSelector('.timer-chip');
  await page.evaluate(() => { window.__shift = 31000; });
  await page.waitForSelector('.timer-chip.timer-over');
});

await test('a seat by chance: rows and columns as set, none twice, no names', async (page) => {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await item(page, PICTURE, '.picture');
  await page.click('.button-tools');
  await page.click('.popover-tools .button:has-text("抽座位")');
  for (let n = 0; n < 4; n += 1) await page.click('[aria-label="少一排"]');
  for (let n = 0; n < 5; n += 1) await page.click('[aria-label="少一列"]');
  assert.equal(await page.locator('.seat').count(), 6);
  const drawn = new Set();
  for (let n = 0; n < 6; n += 1) {
    await page.click('.desk-seats .button-primary');
    await page.waitForFunction((k) => document.querySelectorAll('.seat-done').length === k, n + 1);
    drawn.add(await page.innerText('.seats-words'));
  }
  assert.equal(drawn.size, 6);
  for (const words of drawn) assert.match(words, /^第 [12] 排 第 [123] 列$/);
});

await test('a teacher\'s disk: found, opened, played from where it lies, and gone when it is gone', async (page, uses) => {
  await dev({ disks: [{}] });
  try {
    await page.reload();
    await page.click('.button-files');
    await page.waitForSelector('.usb-row');
    assert.equal(await page.getAttribute('.usb-row', 'data-kind'), 'dir');
    assert.ok(await page.locator('.usb-other').count() >= 1);
    // With the keys of a remote.
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.usb-step:nth-of-type(2)');
    await page.click('.button-back');
    await page.click('.usb-row[data-kind="video"]');
    await playing(page, 'video');
    await until(page, 'video', 'm.currentTime > 0.3');
    await page.waitForSelector('.subtitles p');
    assert.ok(uses.every((one) => one.usb && !one.lesson) && uses.length > 0, JSON.stringify(uses));
    // The next by name in Chinese order.
    await page.click('.dock .button-next');
    await page.waitForSelector('.picture');
    await page.click('.button-back');
    await page.waitForSelector('.usb-rows');
    assert.ok(!(await page.evaluate(() => JSON.stringify(window.localStorage))).includes('usb'), 'nothing of it is remembered');
    await dev({ disks: [] });
    await page.waitForSelector('.view-usb .message-failed');
  } finally { await dev({ disks: [] }); }
});

await test('everything by keys: down to the dock, along it, up again, out', async (page) => {
  await item(page, VIDEO, 'video');
  await page.keyboard.press('ArrowDown');
  assert.ok(await page.evaluate(() => document.activeElement.classList.contains('button-play')));
  await page.keyboard.press('ArrowRight');
  assert.ok(await page.evaluate(() => !document.activeElement.classList.contains('button-play') && document.querySelector('.dock').contains(document.activeElement)));
  await page.keyboard.press('ArrowUp');
  assert.ok(await page.evaluate(() => !document.querySelector('.dock').contains(document.activeElement)));
  await page.keyboard.press('Escape');
  await page.waitForSelector('.view-lesson');
});

// Every control is large enough, on one line at the bottom edge, and inside the screen.
for (const [width, height] of [[1920, 1080], [3840, 2160]]) {
  await test(`controls at ${width}: at least ${width / 30} px, nothing off the screen`, async (page) => {
    const least = width / 1920 * 64;
    const look = async (name) => {
      await page.waitForTimeout(500);
      const bad = await page.evaluate((min) => [...document.querySelectorAll('.dock button, .dock a, .desk button, .desk a, .usb-row')].filter((b) => b.offsetParent).map((b) => [b.className, b.getBoundingClientRect()])
        .filter(([, r]) => r.width < min || r.height < min || r.left < -1 || r.right > window.innerWidth + 1 || r.bottom > window.innerHeight + 1).map(([c, r]) => `${c} ${Math.round(r.width)}×${Math.round(r.height)} at ${Math.round(r.left)},${Math.round(r.top)}`), least);
      const lines = await page.evaluate(() => new Set([...document.querySelectorAll('.dock > .button-back, .dock > .dock-middle, .dock > .dock-end')].map((b) => Math.round(b.getBoundingClientRect().top + b.getBoundingClientRect().height / 2))).size);
      if (shots) { mkdirSync(shots, { recursive: true }); await page.screenshot({ path: join(shots, `${name}-${width}.png`) }); }
      assert.deepEqual(bad.filter((one) => !one.includes('usb-row')), [], name);
      assert.equal(lines, 1, `${name}: the dock is one line`);
    };
    await item(page, VIDEO, 'video');
    await playing(page, 'video');
    await page.evaluate(() => { document.querySelector('video').currentTime = 21; });
    await page.click('.button-precise');
    await page.click('.button-mark-a');
    await page.evaluate(() => { document.querySelector('video').currentTime = 40; });
    await until(page, 'video', '!m.seeking');
    await page.click('.button-mark-b');
    await look('video');
    await item(page, AUDIO, '.audio');
    await look('audio');
    await item(page, PICTURE, '.gallery-one');
    await look('gallery');
    await item(page, BOOK, '[data-drawn]');
    await page.click('.button-strip');
    await page.click('.button-pen');
    await page.mouse.move(width / 2, height / 3);
    await page.mouse.down();
    await page.mouse.move(width / 1.5, height / 2.5, { steps: 10 });
    await page.mouse.up();
    await page.waitForSelector('.pdf-small[data-drawn]');
    await look('pdf-pen');
    await page.click('.button-save');
    await look('pdf-ask');
    await page.click('.desk-ask .button:has-text("不保存")');
    await page.click('.button-clear');
    await page.click('.button-pen');
    await page.click('.button-two');
    await page.waitForTimeout(1200);
    await look('pdf-two');
    await item(page, CONVERTED, '[data-drawn]');
    await look('office-pdf');
    await item(page, PAGED, '.gallery-one');
    await look('office-pages');
    await item(page, ORIGINAL, '.button-original');
    await look('office');
    await page.click('.button-tools');
    await look('tools');
    await page.click('.popover-tools .button:has-text("计时")');
    await look('timer');
    await page.click('.desk-timer .button-primary');
    await page.click('.desk-close');
    await page.click('.button-tools');
    await page.click('.popover-tools .button:has-text("抽座位")');
    await page.click('.desk-seats .button-primary');
    await page.waitForSelector('.seat-chosen');
    await look('seats');
    await page.click('.desk-close');
    await dev({ disks: [{}] });
    await go(page, '#/usb/K1', '.usb-row');
    await page.waitForFunction(() => window.BBT.disks.list() && window.BBT.disks.list().length);
    await look('usb');
    await page.click('.usb-row[data-kind="video"]');
    await page.waitForSelector('video');
    await look('usb-video');
    await dev({ disks: [] });
  }, { viewport: { width, height } });
}

process.exit(failed ? 1 : 0);

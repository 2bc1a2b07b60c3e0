// What the journey does not see: Back, filters, resume, subtitles, notices, dark screen, languages, bounds.
// Needs the sample server (npm run serve, MANY=500 STILL=1): BASE_URL=http://127.0.0.1:8008/ node dev/behaviour.mjs
import assert from 'node:assert/strict';
import { withBrowser } from './browser.mjs';

const base = process.env.BASE_URL || 'http://127.0.0.1:8008/';
const dev = (change) => fetch(new URL('/dev', base), { method: 'POST', body: JSON.stringify(change) });
const read = async () => (await fetch(new URL('/api/shelf', base))).json();
let failed = 0;

async function test(name, work, setup) {
  await withBrowser({ viewport: { width: 1920, height: 1080 } }, async (context) => {
    const page = context.pages()[0];
    const errors = [];
    page.on('pageerror', (error) => errors.push(error.message));
    page.setDefaultTimeout(8000);
    try {
      if (setup) await setup(context, page);
      await page.goto(base);
      await page.waitForSelector('.card');
      await work(page, context);
      assert.deepEqual(errors, []);
      console.log(`ok    ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL  ${name}: ${String(error.message).split('\n').slice(0, 6).join(' | ')}`);
    }
  });
}
const lesson = (page, n) => page.evaluate((id) => { window.location.hash = `#/lesson/${id}`; }, `lesson-${n}`);
const item = (page, n) => page.click(`[data-item="${n}"]`);

await test('Back leads item → lesson → shelf, by the dock and by the browser, and keeps the filter', async (page) => {
  await page.click('.rail .chip-blue');
  await page.click('.grade-bar .chip:has-text("四年级")');
  assert.equal(await page.locator('.card').count(), 1);
  await lesson(page, 1);
  await item(page, 1);
  await page.click('.button-next');
  await page.click('.button-next');
  assert.match(page.url(), /lesson-1\/3$/);
  await page.click('.button-back');
  await page.waitForSelector('.view-lesson');
  await page.click('.button-back');
  await page.waitForSelector('.view-shelf');
  assert.equal(await page.locator('.card').count(), 1);
  await lesson(page, 1);
  await item(page, 0);
  await page.goBack();
  await page.waitForSelector('.view-lesson');
  await page.goBack();
  await page.waitForSelector('.view-shelf');
});

await test('an item opened by its address leads back to its lesson', async (page) => {
  await page.goto('about:blank');
  await page.goto(new URL('#/lesson/lesson-1/3', base).href);
  await page.click('.button-back');
  await page.waitForSelector('.view-lesson');
  await page.click('.button-back');
  await page.waitForSelector('.view-shelf');
});

await test('a viewer that breaks while ending does not hold the teacher', async (page) => {
  await page.evaluate(() => { window.BBT.viewers.image = () => ({ el: document.createElement('p'), destroy() { throw new Error('broken viewer'); } }); });
  await lesson(page, 1);
  await item(page, 3);
  await page.click('.button-back');
  await page.waitForSelector('.view-lesson');
});

await test('a video goes on where it was left, and from the start when asked', async (page) => {
  await lesson(page, 1);
  await item(page, 0);
  await page.waitForFunction(() => document.querySelector('video').readyState >= 2);
  await page.evaluate(() => { document.querySelector('video').currentTime = 40; });
  await page.waitForFunction(() => !document.querySelector('video').seeking);
  await page.click('.button-back');
  await item(page, 0);
  await page.waitForFunction(() => document.querySelector('video').currentTime > 39);
  await page.click('.toast .button');
  await page.waitForFunction(() => document.querySelector('video').currentTime < 5);
});

await test('keys: space, arrows; buttons: ±10 s, speed; the bar shows the time under the finger', async (page) => {
  await lesson(page, 1);
  await item(page, 0);
  const at = () => page.evaluate(() => document.querySelector('video').currentTime);
  await page.waitForFunction(() => document.querySelector('video').currentTime > 0.2);
  await page.keyboard.press(' ');
  await page.waitForFunction(() => document.querySelector('video').paused);
  const from = await at();
  await page.keyboard.press('ArrowRight');
  assert.ok(Math.abs(await at() - from - 10) < 1);
  await page.click('[aria-label="前进 10 秒"]');
  assert.ok(Math.abs(await at() - from - 20) < 1);
  await page.click('[aria-label="后退 10 秒"]');
  await page.click('.button-speed');
  await page.click('.choice:has-text("1.5")');
  assert.equal(await page.evaluate(() => document.querySelector('video').playbackRate), 1.5);
  const bar = await page.locator('.seek .slider').boundingBox();
  await page.mouse.move(bar.x + bar.width / 2, bar.y + bar.height / 2);
  await page.mouse.down();
  assert.equal(await page.innerText('.seek .slider-bubble'), '0:45');
  await page.mouse.move(bar.x + bar.width / 3, bar.y + bar.height / 2);
  assert.equal(await page.innerText('.seek .slider-bubble'), '0:30');
  await page.mouse.up();
  assert.ok(Math.abs(await at() - 30) < 1);
});

await test('subtitles: Chinese at first, another by choice, off, and the choice is kept', async (page) => {
  await lesson(page, 1);
  await item(page, 0);
  await page.waitForSelector('.subtitles p');
  assert.match(await page.innerText('.subtitles'), /同学们/);
  await page.click('[aria-label="字幕"]');
  await page.click('.choice:has-text("English")');
  await page.waitForFunction(() => /triangle|angles/.test(document.querySelector('.subtitles').textContent));
  await page.click('[aria-label="字幕"]');
  await page.click('.choice:has-text("关闭字幕")');
  await page.waitForFunction(() => document.querySelector('.subtitles').textContent === '');
  await page.click('.button-back');
  await item(page, 0);
  await page.waitForFunction(() => document.querySelector('video').currentTime > 0.5);
  assert.equal(await page.innerText('.subtitles'), '');
});

await test('listening: sentences by key, one sentence again and again', async (page) => {
  await lesson(page, 1);
  await item(page, 4);
  const at = () => page.evaluate(() => document.querySelector('audio').currentTime);
  await page.waitForFunction(() => { const a = document.querySelector('audio'); return a.readyState >= 2 && a.textTracks[0].cues; });
  await page.click('[aria-label="下一句"]');
  await page.click('[aria-label="下一句"]');
  assert.ok(await at() >= 10 && await at() < 12, `at ${await at()}`);
  await page.click('[aria-label="单句复读"]');
  await page.evaluate(() => { document.querySelector('audio').currentTime = 14; });
  await page.waitForFunction(() => { const t = document.querySelector('audio').currentTime; return t >= 10 && t < 12; });
});

await test('notices: strip, urgent over a film that stops, dismissed for good, shown again when sent again', async (page) => {
  const urgent = { level: 'urgent', title: '<img src=x onerror=alert(1)>', text: '演练' };
  await lesson(page, 1);
  await item(page, 0);
  await page.waitForFunction(() => document.querySelector('video').currentTime > 0.2);
  await dev({ notices: [urgent, { level: 'standard', title: '通知', text: '下午开会' }] });
  await page.waitForSelector('.urgent');
  assert.equal(await page.innerText('.urgent h1'), urgent.title);
  assert.ok(await page.evaluate(() => document.querySelector('video').paused));
  await page.click('.urgent .button');
  await page.waitForSelector('.urgent', { state: 'detached' });
  await page.click('.notice .button');
  await dev({ console_seen_s: 13 });
  await page.waitForTimeout(900);
  assert.equal(await page.locator('.urgent, .notice').count(), 0);
  await dev({ notices: [] });
  await page.waitForTimeout(900);
  await dev({ notices: [urgent] });
  await page.waitForSelector('.urgent');
  await dev({ notices: [] });
  await page.waitForSelector('.urgent', { state: 'detached' });
});

await test('dark screen: by button and by key, light again by touch', async (page) => {
  await page.click('.dock-end .button >> nth=0');
  await page.waitForSelector('.dark');
  await page.click('.dark');
  await page.keyboard.press('b');
  await page.waitForSelector('.dark');
  await page.keyboard.press('x');
  await page.waitForSelector('.dark', { state: 'detached' });
});

await test('the other language, and it is kept', async (page) => {
  await page.click('.dock-end .button >> nth=1');
  assert.equal(await page.innerText('.status-link'), 'Online');
  await page.reload();
  await page.waitForSelector('.card');
  assert.match(await page.innerText('.state-ready >> nth=0'), /Ready/);
});

await test('live: offline is seen at once by SSE; progress moves; a lesson that becomes ready opens', async (page) => {
  const shelf = await read();
  const one = shelf.lessons.find((l) => l.state === 'fetching');
  await page.evaluate((id) => { window.location.hash = `#/lesson/${id}`; }, one.id);
  await page.waitForSelector('.arriving-percent');
  assert.equal(await page.innerText('.arriving-percent'), '62%');
  one.done_bytes = Math.floor(one.total_bytes * 0.75);
  await dev({ lessons: shelf.lessons, online: false });
  await page.waitForFunction(() => document.querySelector('.arriving-percent').textContent === '75%', null, { timeout: 2000 });
  assert.equal(await page.innerText('.status-link'), '离线');
  one.state = 'ready';
  await dev({ lessons: shelf.lessons, online: true });
  await page.waitForSelector('.item-row');
  one.state = 'fetching';
  one.done_bytes = 115343360;
  await dev({ lessons: shelf.lessons });
});

await test('without SSE the shelf is asked every 5 s', async (page) => {
  await dev({ online: false });
  await page.waitForFunction(() => document.querySelector('.status-link').textContent === '离线', null, { timeout: 7000 });
  await dev({ online: true });
}, (context) => context.route('**/api/live', (route) => route.abort()));

await test('the agent away and back: said in words, cards stay, heals by itself', async (page, context) => {
  const cards = await page.locator('.card').count();
  await context.route('**/api/**', (route) => route.abort());
  await page.evaluate(() => window.BBT.data.refresh());
  await page.waitForSelector('.is-unreachable');
  assert.equal(await page.locator('.card').count(), cards);
  await context.unroute('**/api/**');
  await page.waitForFunction(() => !document.querySelector('.is-unreachable'), null, { timeout: 7000 });
});

await test('a document in the background costs a bounded number of pixels', async (page) => {
  await lesson(page, 1);
  await item(page, 5);
  await page.waitForSelector('[data-drawn]');
  let most = 0;
  for (let i = 0; i < 12; i += 1) {
    await page.keyboard.press('ArrowRight');
    await page.waitForTimeout(120);
    most = Math.max(most, await page.evaluate(() => [...document.querySelectorAll('canvas')].reduce((s, c) => s + c.width * c.height, 0)));
  }
  assert.ok(most <= 5 * 16e6, `${most} pixels`);
  assert.match(await page.innerText('.tool-page'), /^13 \/ /);
  await page.click('.button:has-text("完整显示")');
  await page.waitForSelector('.pdf-page[data-page="13"][data-drawn]');
  await page.click('.button-back');
  await page.waitForSelector('.view-lesson');
  assert.equal(await page.locator('canvas').count(), 0);
});

await test('a damaged document is named so, and can be left', async (page) => {
  await page.evaluate(() => { window.location.hash = '#/lesson/lesson-14/1'; });
  await page.waitForSelector('.stage-fail');
  assert.match(await page.innerText('.stage-fail'), /已损坏/);
  await page.click('.button-back');
  await page.waitForSelector('.view-lesson');
});

await test('before enrolment, before a manifest, before the store: each is said in words', async (page) => {
  const shelf = await read();
  const bare = { id: 'lesson-x', version: 1, meta: null, state: 'queued', items: [] };
  await dev({ device: null, console_seen_s: null, online: false, lessons: [bare] });
  await page.waitForFunction(() => document.querySelectorAll('.card').length === 1);
  assert.equal(await page.innerText('.card-title'), '新课程');
  assert.match(await page.innerText('.status'), /班班通终端[^]*本机尚未注册/);
  await page.click('.card');
  await page.waitForSelector('.view-lesson .message');
  await dev({ lessons: [] });
  await page.click('.button-back');
  await page.waitForSelector('.shelf .message');
  await dev({ preparing: true });
  await page.waitForFunction(() => !/尚未注册/.test(document.body.innerText));
  assert.match(await page.innerText('.status'), /还没有连上/);
  assert.match(await page.innerText('.shelf'), /正在核对/);
  await page.click('.status');
  await page.waitForSelector('.sheet');
  await dev({ ...shelf, preparing: false });
});

await test('a board that is nobody: a code by finger and by keys, checked here first, sent as only our page can', async (page) => {
  const shelf = await read();
  const waiting = { state: 'unenrolled', serial: 'SN-1', fingerprint: '7K3M-9QXZ', county: '昭觉县', qr_text: 'x', classrooms: [], note: null, place: {} };
  const asked = async () => (await fetch(new URL('/dev/asked', base))).json();
  await asked();
  await dev({ device: null, lessons: [], membership: waiting, answer: { status: 422, body: { message: '请选择教室', classrooms: [{ code: '302', name: '三年级（2）班', school: '' }] } } });
  await page.waitForSelector('.view-enrol');
  assert.equal(await page.locator('.key').count(), 32);
  const box = await page.locator('.key').first().boundingBox();
  assert.ok(box.height >= 64 && box.width >= 64, `a key has ${box.width} x ${box.height}`);
  // The last character is wrong: nothing is sent.
  for (const key of '7k3m9qx0') await page.keyboard.press(key);
  await page.click('.key:text-is("6")');
  assert.match(await page.innerText('.enrol-code'), /校验位不符/);
  assert.ok(await page.locator('.enrol-code .button-primary').isDisabled());
  await page.keyboard.press('Backspace');
  await page.click('.key:text-is("5")');
  await page.click('.enrol-code .button-primary');
  await page.click('.room');
  await page.waitForTimeout(200);
  const sent = await asked();
  assert.deepEqual(sent.map((one) => [one.path, one.body]), [
    ['/api/enrol', { code: '7K3M9QX05' }], ['/api/enrol', { code: '7K3M9QX05', classroom: '302' }]]);
  sent.forEach((one) => assert.deepEqual([one.page, one.type, one.origin], ['1', 'application/json', new URL(base).origin]));
  // On a laptop of the LAN there are no keys; on a locked board there is nothing but whom to call.
  await dev({ on_board: false, membership: { ...waiting, fingerprint: '8888-8888' } });
  await page.waitForFunction(() => !document.querySelector('.key') && document.querySelector('.enrol-words'));
  await dev({ on_board: true, lessons: shelf.lessons, membership: { state: 'locked', contact: '县电教站 1234567', order_id: 'c1' } });
  await page.waitForSelector('.view-locked');
  const seen = await page.evaluate(() => document.body.innerText);
  assert.match(seen, /1234567/);
  assert.ok(!/三角形|可以上课|English/.test(seen), seen);
  await page.evaluate(() => { location.hash = '#/lesson/lesson-1'; });
  await page.waitForTimeout(300);
  assert.equal(await page.locator('.view-locked').count(), 1);
  await dev({ ...shelf });
  await page.waitForSelector('.view-lesson');
});

await test('500 lessons: first cards at once, the rest while scrolling', async (page) => {
  const many = (await read()).lessons.length;
  if (many < 500) throw new Error('start the sample server with MANY=500');
  assert.ok(await page.locator('.card').count() <= 48);
  for (let i = 0; i < 20; i += 1) {
    await page.evaluate(() => { const s = document.querySelector('.shelf'); s.scrollTop = s.scrollHeight; });
    await page.waitForTimeout(60);
  }
  assert.equal(await page.locator('.card').count(), many);
});

console.log(failed ? `${failed} failed` : 'all passed');
process.exit(failed ? 1 : 0);

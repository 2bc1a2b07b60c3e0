// What the journey does not see: Back, filters, resume, subtitles, notices, dark screen, languages, bounds.
// Needs the sample server (npm run serve, MANY=500 STILL=1): BASE_URL=http://127.0.0.1:8008/ node dev/behaviour.mjs
import assert from 'node:assert/strict';
import { withBrowser } from './browser.mjs';

const base = process.env.BASE_URL || 'http://127.0.0.1:8008/';
const dev = (change) => fetch(new URL('/dev', base), { method: 'POST', body: JSON.stringify(change) });
const read = async () => (await fetch(new URL('/api/shelf', base))).json();
const world = async () => (await fetch(new URL('/dev/world', base))).json();
const only = process.env.ONLY || '';
let failed = 0;

async function test(name, work, setup) {
  if (only && !name.includes(only)) return;
  await withBrowser({ viewport: { width: 1920, height: 1080 } }, async (context) => {
    const page = context.pages()[0];
    const errors = [];
    page.on('pageerror', (error) => errors.push(error.message));
    page.setDefaultTimeout(8000);
    try {
      if (setup) await setup(context, page);
      await page.goto(base);
      await page.waitForSelector('.hero');
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
const go = (page, hash) => page.evaluate((to) => { window.location.hash = to; }, hash);
const item = (page, n) => page.click(`[data-item="${n}"]`);

await test('Back leads item → lesson → shelf, by the dock and by the browser, and keeps the filter', async (page) => {
  await go(page, '#/shelf');
  await page.click('.rail .chip-blue');
  await page.click('.grade-bar .chip:has-text("四年级")');
  await page.click('.grade-bar .chip:has-text("下册")');
  await page.click('.chapters .chip:has-text("三角形")');
  await page.waitForFunction(() => document.querySelectorAll('.card').length === 1);
  await page.click('.card');
  await item(page, 1);
  await page.click('.button-next');
  await page.click('.button-next');
  assert.match(page.url(), /lesson-1\/3$/);
  await page.click('.button-back');
  await page.waitForSelector('.view-lesson');
  await page.click('.button-back');
  await page.waitForSelector('.view-shelf .card');
  assert.equal(await page.locator('.card').count(), 1);
  await page.click('.card');
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
  await page.waitForSelector('.view-home');
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

await test('arrows lead from item to item where what is shown has no use for them', async (page) => {
  const at = (n) => page.waitForFunction((to) => window.location.hash.endsWith(`/lesson-1/${to}`), n);
  const media = (name, to) => page.evaluate(([kind, end]) => { const m = document.querySelector(kind); m.pause(); m.currentTime = end ? m.duration : 0; }, [name, to]);
  await lesson(page, 1);
  await item(page, 3);
  await page.waitForSelector('.picture-img');
  await page.keyboard.press('ArrowRight');
  await at(4);
  await page.waitForFunction(() => document.querySelector('audio').readyState >= 2);
  await media('audio', false);
  await page.keyboard.press('ArrowLeft');
  await at(3);
  await page.keyboard.press('PageUp');
  await at(2);
  // Keys that an exercise has are gone for us: by keys it is entered, not fallen into.
  await page.waitForSelector('.exercise-enter');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.activeElement.tagName === 'IFRAME' && !document.querySelector('.exercise-enter'));
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('ArrowLeft');
  await at(1);
  await page.waitForSelector('[data-drawn]');
  await page.keyboard.press('ArrowRight');
  await page.waitForFunction(() => document.querySelector('.tool-page').textContent.startsWith('2 /'));
  await page.keyboard.press('ArrowLeft');
  await page.waitForFunction(() => document.querySelector('.tool-page').textContent.startsWith('1 /'));
  await page.keyboard.press('ArrowLeft');
  await at(0);
  await page.waitForFunction(() => document.querySelector('video').readyState >= 2);
  await media('video', true);
  await page.waitForFunction(() => !document.querySelector('video').seeking);
  await page.keyboard.press('ArrowRight');
  await at(1);
  // By finger an exercise has its keys at once; the first item has nothing before it.
  await lesson(page, 1);
  await item(page, 2);
  await page.waitForFunction(() => document.activeElement.tagName === 'IFRAME' && !document.querySelector('.exercise-enter'));
  await lesson(page, 5);
  await item(page, 0);
  await page.waitForSelector('[data-drawn]');
  await page.keyboard.press('ArrowLeft');
  assert.match(page.url(), /lesson-5\/0$/);
});

await test('a name that begins with its own number is counted once', async (page) => {
  const shelf = await read();
  const lessons = shelf.lessons.map((one) => one.id === 'lesson-1' ? { ...one, items: one.items.slice(0, 5).map((i, n) => ({ ...i, title: ['1 看', '02-听', '3.5 倍速', '5 不对', '5、读'][n] })) } : one);
  await dev({ lessons });
  await lesson(page, 1);
  await page.waitForSelector('[data-item="4"]');
  assert.deepEqual(await page.locator('.item-title').allInnerTexts(), ['看', '听', '3.5 倍速', '5 不对', '读']);
  await item(page, 1);
  assert.equal(await page.innerText('.item-strip-title'), '听');
  await dev({ lessons: shelf.lessons });
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
  await page.click('.button-dark');
  await page.waitForSelector('.dark');
  await page.click('.dark');
  await page.keyboard.press('b');
  await page.waitForSelector('.dark');
  await page.keyboard.press('x');
  await page.waitForSelector('.dark', { state: 'detached' });
});

await test('the other language, and it is kept', async (page) => {
  await page.click('.button-more');
  await page.click('.tile:has-text("English")');
  assert.equal(await page.innerText('.status-link'), 'Online');
  await page.goto(new URL('#/shelf', base).href);
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
  await go(page, '#/shelf');
  await page.waitForSelector('.card');
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
  await page.click('[aria-label="完整显示"], .button:has-text("完整显示")');
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
  await go(page, '#/shelf');
  await page.waitForFunction(() => document.querySelectorAll('.card').length === 1);
  assert.equal(await page.innerText('.card-title'), '新课程');
  await page.waitForFunction(() => /班班通终端[^]*本机尚未注册/.test(document.querySelector('.status').innerText));
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
  // Without a serial number no key is shown, but what to do; what was refused before is gone when there is one.
  const words = { status: 422, body: { code: 'enrol_refused', message: '读不到本机的序列号' } };
  await dev({ membership: waiting, answer: words });
  await page.reload();
  await page.waitForSelector('.key');
  for (const key of '7k3m9qx05') await page.keyboard.press(key);
  await page.click('.enrol-code .button-primary');
  await page.waitForFunction(() => /读不到本机的序列号/.test(document.querySelector('.enrol-code').innerText));
  await dev({ membership: { ...waiting, serial: '', qr_text: '', note: { problem: true, zh: '读不到', en: 'none' } } });
  await page.waitForFunction(() => !document.querySelector('.key') && /先写序列号/.test(document.body.innerText));
  await page.keyboard.press('7');
  assert.equal(await page.locator('.code-slot').count(), 0);
  await dev({ membership: { ...waiting, serial: 'SN-2' } });
  await page.waitForSelector('.key');
  assert.ok(!/读不到/.test(await page.evaluate(() => document.body.innerText)), 'the old refusal stays');
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

await test('a locked board says why, since which day and whom to call, however long the words; the pad stands in the middle', async (page) => {
  const seen = () => page.evaluate(() => document.querySelector('.view-locked').innerText);
  const lock = { reason: '设备盘点', since: '2026-11-23T01:12:00Z' };
  await dev({ home: { on_board: true, features: { pin_set: true }, lock, help: { office: '县电教馆', phone: '0834-2881234' } } });
  await page.waitForSelector('.view-locked');
  assert.match(await seen(), /设备盘点[^]*\n9:12 起[^]*县电教馆[^]*0834-2881234/);
  await page.click('.view-locked .button');
  const middle = await page.evaluate(() => { const [pad, view] = ['.pin', '.view'].map((one) => document.querySelector(one).getBoundingClientRect()); return (pad.top + pad.bottom) / 2 - (view.top + view.bottom) / 2; });
  assert.ok(Math.abs(middle) < 30, `the pad is ${middle} px off the middle`);
  await page.click('[data-key="cancel"]');
  // Of another day it is said of which; 200 letters, which is the most, leave everything on the screen.
  const office = '教育体育和科学技术局电化教育馆运维服务中心';
  await dev({ home: { on_board: true, features: { pin_set: true }, lock: { reason: '维修'.repeat(100), since: '2026-11-20T01:12:00Z' }, help: { office, phone: '0834-2881234 转 806' } } });
  await page.waitForFunction(() => /11月20日 星期五 9:12 起/.test(document.querySelector('.view-locked').innerText));
  const [last, least, lines] = await page.evaluate(() => { const b = document.querySelector('.view-locked .button').getBoundingClientRect(); return [b.bottom, b.height, [...document.querySelectorAll('.locked-contact > *')].map((one) => one.getClientRects().length)]; });
  assert.ok(last <= 1080 && least >= 64, `the button ends at ${last}, ${least} px high`);
  assert.deepEqual(lines, [1, 1]);
  // Nobody was written down to be called: still a word of what to do.
  await dev({ home: { on_board: true, lock: { reason: '', since: null }, help: null } });
  await page.waitForFunction(() => /请找学校管设备的老师/.test(document.querySelector('.view-locked').innerText));
  await dev({ home: {} });
  await page.waitForSelector('.hero');
});

await test('a large shelf: twelve cards at once whatever it holds, pages by button, key and sweep, Back to the same page', async (page) => {
  const many = (await read()).lessons.length;
  if (many < 500) throw new Error('start the sample server with MANY=500 or more');
  await go(page, '#/shelf');
  await page.waitForSelector('.card');
  assert.equal(await page.locator('.card').count(), 12);
  assert.equal(await page.innerText('.page-count'), `1 / ${Math.ceil(many / 12)}`);
  await page.click('.button-page >> nth=1');
  await page.waitForFunction(() => document.querySelector('.page-count').textContent.startsWith('2 /'));
  await page.keyboard.press('PageDown');
  await page.waitForFunction(() => document.querySelector('.page-count').textContent.startsWith('3 /'));
  await page.click('.card >> nth=5');
  await page.waitForSelector('.view-lesson');
  await page.click('.button-back');
  await page.waitForFunction(() => { const p = document.querySelector('.page-count'); return p && p.textContent.startsWith('3 /'); });
  assert.ok(await page.evaluate(() => { const s = document.querySelector('.shelf'); return s.scrollHeight <= s.clientHeight + 1; }), 'a page does not fit the screen');
});

await test('home: a period is chosen by touch, its lesson starts; seconds that pass leave the buttons alone', async (page) => {
  const before = await page.$('.hero-go');
  await dev({ console_seen_s: 40 });
  await page.waitForTimeout(900);
  assert.ok(await before.evaluate((b) => document.contains(b)), 'the large button was made anew without need');
  await dev({ console_seen_s: 12 });
  await page.click('.period >> nth=1');
  assert.match(await page.innerText('.hero'), /倍的认识/);
  await page.click('.hero-go');
  await page.waitForSelector('.view-item');
  assert.match(page.url(), /lesson-2\/0$/);
  await page.goBack();
  await page.click('.resume-row >> nth=0');
  await page.waitForSelector('.view-item');
  assert.match(page.url(), /lesson-1\/0$/);
});

await test('home without timetable, without clock, on a holiday, with nothing: words and one thing to do', async (page) => {
  const none = { next: null, resume: [], tomorrow: { light: 'unknown', date: null, items: [] } };
  const say = async (today, more) => { await dev({ home: { ...none, today: { date: null, day_name: null, week: null, periods: [], ...today }, ...more } }); await page.waitForTimeout(700); return page.innerText('.view-home'); };
  assert.match(await say({ source: 'none' }), /想上哪一课[^]*还没有课表/);
  const [opened] = (await (await fetch(new URL('/api/lessons?limit=1', base))).json()).lessons;
  assert.match(await say({ source: 'none' }, { resume: [{ lesson: opened, item: 0, item_title: '微课', position_ms: 48000, duration_ms: 60000, at: null }] }), /继续上次[^]*微课 · 0:48[^]*继续上课/);
  assert.match(await say({ source: 'console', days: [{ day: 1, periods: [{ number: 1, subject: '语文' }] }] }), /时间未校准[^]*星期一/);
  assert.match(await say({ source: 'console', date: '2026-10-01', day_name: '国庆节' }), /今天放假[^]*国庆节/);
  await dev({ home: {} });
});

await test('the large button stays whole under a notice, a disk and an exam that is near', async (page) => {
  const whole = () => page.evaluate(() => {
    const button = document.querySelector('.hero-go').getBoundingClientRect();
    const card = document.querySelector('.hero').getBoundingClientRect();
    return button.height >= 64 && button.bottom <= card.bottom + 1 && button.top >= card.top && document.elementFromPoint(button.left + 20, button.bottom - 8).closest('.hero-go') !== null;
  });
  assert.ok(await whole());
  await dev({ notices: [{ level: 'standard', title: '通知', text: '下午开会' }, { level: 'standard', title: '通知二', text: '停电' }], disks: [{ id: 'K1' }],
    home: { exam: { state: 'soon', name: '期中考试', from: '2026-11-23T02:10:00Z', to: '2026-11-23T03:30:00Z' } } });
  await page.waitForSelector('.disks .banner', { timeout: 8000 });
  await page.waitForTimeout(400);
  assert.ok(await whole());
  await dev({ notices: [], disks: [], home: {} });
});

await test('search: initials by keys on the page, marks, delete, a lesson and back to the same results', async (page) => {
  await page.click('.dock .button-primary');
  await page.waitForSelector('.keyboard');
  for (const key of 'sjx') await page.click(`[data-key="${key}"]`);
  await page.waitForFunction(() => { const m = document.querySelector('.results mark'); return m && m.textContent === '三角形'; });
  await page.click('.results .card');
  await page.waitForSelector('.view-lesson');
  await page.click('.button-back');
  await page.waitForSelector('.results .card');
  assert.equal(await page.inputValue('.search-input'), 'sjx');
  await page.click('[data-key="delete"]');
  assert.equal(await page.inputValue('.search-input'), 'sj');
  await page.click('[data-key="clear"]');
  await page.waitForSelector('.search-hints');
  // A keyboard that is plugged in, B among its keys.
  await page.keyboard.type('bdrs');
  await page.waitForSelector('.results .card:has-text("倍的认识")');
  assert.equal(await page.locator('.dark').count(), 0);
  await page.keyboard.press('Enter');
  await page.waitForSelector('.view-lesson');
});

await test('a fault in two taps, with the page’s token; the repair is confirmed', async (page) => {
  await dev({ world: { faults: [] } });
  await page.click('.dock .button:has-text("报修")');
  await page.click('[data-class="touch"]');
  await page.click('[data-symptom="offset"]');
  await page.waitForSelector('.message-done');
  const [fault] = (await world()).faults;
  assert.deepEqual([fault.class, fault.symptom], ['touch', 'offset']);
  fault.repair = { state: 'fixed', note: '更换了触摸框', since: '2026-11-22T00:00:00Z' };
  await dev({ world: { faults: [fault] } });
  await go(page, '#/');
  await page.click('.banner-repair .button');
  await page.click('.repair-answers .button:has-text("修好了")');
  await page.waitForSelector('.message:has-text("谢谢")');
  assert.equal((await world()).faults[0].repair.state, 'confirmed');
  await dev({ world: { faults: [] } });
});

await test('without its token nothing is taken; a token that changed is asked for again', async (page) => {
  const refused = await fetch(new URL('/api/faults', base), { method: 'POST', headers: { 'content-type': 'application/json', 'x-bbt-page': '1' }, body: '{"class":"touch"}' });
  assert.equal(refused.status, 403);
  await dev({ world: { token: 'another' } });
  await go(page, '#/fault');
  await page.click('[data-class="other"]');
  await page.waitForSelector('.message-done');
  await dev({ world: { token: 'dev-token', faults: [] } });
});

await test('settings: a wrong PIN says so, the right one opens, leaving closes', async (page) => {
  await go(page, '#/settings');
  const type = async (pin) => { for (const key of pin) await page.click(`.pin [data-key="${key}"]`); await page.click('.pin .button-primary'); };
  await type('000000');
  await page.waitForFunction(() => /PIN 不对/.test(document.querySelector('.pin-said').textContent));
  await type('135790');
  await page.waitForSelector('.settings');
  await page.click('.switch');
  await page.waitForFunction(() => document.querySelector('.switch').getAttribute('aria-checked') === 'false');
  assert.equal((await world()).settings.usb_play, false);
  await page.click('.switch');
  await dev({ disks: [{ id: 'K1' }] });
  await page.click('.setting .button:has-text("从 U 盘取入")');
  await page.click('.setting-files .button:has-text("三年级2班.yaml")');
  await page.click('.button:has-text("双周")');
  await page.waitForFunction(() => /已取入/.test(document.querySelector('.setting-said').textContent) && !/双周/.test(document.querySelector('.settings').textContent));
  await dev({ disks: [] });
  await page.click('.button-back');
  await go(page, '#/settings');
  await page.waitForSelector('.pin');
});

await test('an exam: name and clock and nothing else, whatever happens; listening only by PIN and only while it may be', async (page) => {
  const exam = { state: 'silent', name: '期中考试·英语', from: '2026-11-23T01:30:00Z', to: '2026-11-23T03:30:00Z', audio: [], audio_now: false, pin_set: true, tries_left: 5, locked_s: 0, lesson_hint: 'lesson-9' };
  await lesson(page, 1);
  await item(page, 0);
  await page.waitForSelector('video');
  await dev({ home: { exam }, notices: [{ level: 'urgent', title: '演练', text: 'x' }, { level: 'standard', title: '通知', text: 'y' }], disks: [{ found: 3, offered: 3 }] });
  await page.waitForSelector('.view-exam');
  await page.keyboard.press('b');
  await page.evaluate(() => { window.location.hash = '#/search'; });
  await page.waitForTimeout(5000);
  assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll('.urgent, .notice, .dark, video, .card, .button, .banner')].filter((e) => e.offsetParent).map((e) => e.className)), []);
  const seen = (await page.evaluate(() => document.body.innerText)).replace(/\s+/g, ' ');
  assert.match(seen, /期中考试·英语 10:0\d 9:30 – 11:30 ?$/);
  await dev({ home: { exam: { ...exam, audio_now: true } }, world: { examTries: 5 } });
  await page.click('.exam-door');
  const type = async (pin) => { for (const key of pin) await page.click(`.pin [data-key="${key}"]`); await page.click('.pin .button-primary'); };
  await type('111111');
  await page.waitForFunction(() => /还可以试 4 次/.test(document.querySelector('.pin-said').textContent));
  await type('246810');
  await page.click('.listen-list .button');
  await page.click('.listen .button-primary');
  await page.waitForFunction(() => { const a = document.querySelector('audio'); return a && !a.paused && a.currentTime > 0; });
  // The stretch is over: it stops at once.
  await dev({ home: { exam } });
  await page.waitForSelector('audio', { state: 'detached' });
  await dev({ home: {}, notices: [], disks: [] });
  await page.waitForSelector('.view-search');
});

await test('a remote control: arrows lead from button to button, Enter presses, Escape leads back', async (page) => {
  const at = () => page.evaluate(() => document.activeElement.className + ' ' + document.activeElement.innerText.replace(/\s+/g, ' '));
  const press = async (...keys) => { for (const key of keys) await page.keyboard.press(key); return at(); };
  assert.match(await press('ArrowDown'), /hero-go/);
  assert.match(await press('ArrowRight', 'ArrowRight'), /resume-row/);
  assert.match(await press('ArrowDown', 'ArrowDown'), /period|subject|tomorrow/);
  assert.match(await press('ArrowDown', 'ArrowDown', 'ArrowDown'), /button/);
  await press('ArrowLeft', 'ArrowLeft', 'ArrowLeft', 'ArrowLeft', 'ArrowLeft');
  assert.match(await at(), /搜索/);
  await press('Enter');
  await page.waitForSelector('.view-search');
  await press('ArrowDown', 'ArrowDown');
  assert.match(await at(), /^tap/);
  await press('Enter');
  assert.equal((await page.inputValue('.search-input')).length, 1);
  await press('Escape');
  await page.waitForSelector('.view-home');
  await go(page, '#/fault');
  await page.waitForSelector('.tile');
  await press('ArrowDown', 'ArrowRight', 'Enter');
  await page.waitForSelector('.tiles-symptom');
  await press('Escape');
  await page.waitForSelector('.tiles-fault');
});

await test('every page: targets of 64 px, nothing beyond the screen, all reached by Tab', async (page) => {
  const pages = ['#/', '#/shelf', `#/shelf?subject=${encodeURIComponent('数学')}&grade=${encodeURIComponent('三年级')}`, '#/search', '#/search?q=sjx', '#/tomorrow', '#/help', '#/fault', '#/fault/sound',
    '#/diag', '#/privacy', '#/more', '#/settings', '#/lesson/lesson-1', '#/lesson/lesson-4'];
  for (const hash of pages) {
    await go(page, hash);
    await page.waitForTimeout(350);
    const small = await page.evaluate(() => [...document.querySelectorAll('button, a[href], input')].filter((e) => e.offsetParent).map((e) => ({ e, r: e.getBoundingClientRect() }))
      .filter(({ e, r }) => r.width > 0 && (r.width < 64 || r.height < 64) && !e.closest('.hidden')).map(({ e, r }) => `${e.className} ${Math.round(r.width)}×${Math.round(r.height)}`));
    assert.deepEqual(small, [], `${hash}: small targets`);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth && document.documentElement.scrollHeight <= window.innerHeight), `${hash} is larger than the screen`);
    const text = await page.evaluate(() => [...document.querySelectorAll('.view *, .dock *, .status *')].filter((e) => e.offsetParent && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) && parseFloat(getComputedStyle(e).fontSize) < 28 && e.tagName !== 'CODE')
      .map((e) => `${e.className} ${getComputedStyle(e).fontSize}`));
    assert.deepEqual(text, [], `${hash}: small words`);
  }
  await go(page, '#/');
  await page.waitForSelector('.hero');
  const names = new Set();
  for (let i = 0; i < 30; i += 1) { await page.keyboard.press('Tab'); names.add(await page.evaluate(() => document.activeElement.className.split(' ').pop())); }
  for (const wanted of ['hero-go', 'resume-row', 'subject', 'button-more']) assert.ok(names.has(wanted), `${wanted} is not reached by Tab`);
});

console.log(failed ? `${failed} failed` : 'all passed');
process.exit(failed ? 1 : 0);

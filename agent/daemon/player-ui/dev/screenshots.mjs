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
    const presses = (keys) => async () => { for (const key of keys) await page.click(`[data-key="${key}"]`); await page.waitForTimeout(300); };
    const home = (more) => dev({ home: more });
    await view('home', '#/', () => page.waitForSelector('.hero'));
    await view('home-other', '#/', () => page.click('.period >> nth=4'));
    const none = { next: null, resume: [], tomorrow: { light: 'unknown', date: null, items: [] }, arriving: { total: 0, list: [] } };
    await home({ ...none, today: { date: null, day_name: null, week: null, source: 'none', periods: [] } });
    await view('home-bare', '#/', () => page.waitForSelector('.hero'));
    await home({ ...none, today: { date: null, day_name: null, week: null, source: 'console', periods: [], days: [1, 2, 3, 4, 5].map((day) => ({ day, periods: ['语文', '数学', '英语', '科学', '体育与健康', '音乐', '道德与法治'].map((subject, i) => ({ number: i + 1, subject, from_min: 500 + 50 * i, to_min: 540 + 50 * i })) })) } });
    await view('home-no-clock', '#/', () => page.waitForSelector('.hero'));
    await home({ ...none, today: { date: '2026-10-01', day_name: '国庆节', week: 5, source: 'console', periods: [] } });
    await view('home-holiday', '#/', () => page.waitForSelector('.hero'));
    await home({ repairs: [{ fault: 'F1', class: 'touch', symptom: 'offset', state: 'fixed', note: '更换了触摸框，请试一试。', since: '2026-11-22T00:00:00Z' }] });
    await view('home-repair', '#/', () => page.waitForSelector('.banner-repair'));
    await view('repair', '#/repair/F1');
    const exam = { state: 'soon', name: '期中考试·英语', from: '2026-11-23T02:10:00Z', to: '2026-11-23T03:30:00Z', audio: [], audio_now: true, pin_set: true, tries_left: 5, locked_s: 0, lesson_hint: null };
    await home({ exam });
    await view('home-exam-soon', '#/', () => page.waitForSelector('.banner-exam'));
    await home({ exam: { ...exam, state: 'silent' } });
    await view('exam', '#/', () => page.waitForSelector('.view-exam'));
    await view('exam-pin', '#/', async () => { await page.click('.exam-door'); await presses('246')(); });
    await home({ exam: { ...exam, state: 'listening' } });
    await view('exam-listening', '#/', () => page.waitForSelector('.listen-list .button'));
    await home({});
    await view('shelf', '#/shelf', () => page.waitForSelector('.card'));
    await view('shelf-filter', `#/shelf?subject=${encodeURIComponent('数学')}&grade=${encodeURIComponent('三年级')}`, () => page.waitForSelector('.card'));
    await view('search', '#/search');
    await view('search-found', '#/search', presses('sx'));
    await view('search-none', '#/search', presses('qqq'));
    await view('search-pinyin', '#/search', async () => { await page.click('[data-key="language"]'); await presses('sanjiaoxing')(); });
    const lesson = { id: 'lesson-9', version: 1, title: 'Unit 1 My school', subject: '英语', grade: '四年级', state: 'ready', items: 3, kinds: [] };
    await dev({ world: { fallback: lesson, mute: false, poor: false, liveRunning: null } });
    await view('check', '#/check', () => page.waitForSelector('.check-green'));
    await dev({ world: { mute: true, poor: true } });
    await view('check-poor', '#/check', async () => { await page.waitForSelector('.check-red'); await page.click('[data-app="meet"] .button'); await page.waitForSelector('.check-bad'); });
    await dev({ world: { apps: [], fallback: null, mute: false, poor: false } });
    await view('check-bare', '#/check', () => page.waitForSelector('.check-green'));
    await dev({ world: { apps: null } });
    await view('tomorrow', '#/tomorrow');
    await view('help', '#/help');
    await view('fault', '#/fault');
    await view('fault-symptom', '#/fault/network');
    await view('fault-done', '#/fault/sound', async () => { await page.click('[data-symptom="none"]'); await page.waitForSelector('.message-done'); });
    await view('diag', '#/diag', () => page.waitForTimeout(400));
    await view('privacy', '#/privacy');
    await view('more', '#/more');
    await view('settings-pin', '#/settings', presses('135'));
    await view('settings', '#/settings', async () => { await presses('135790')(); await page.click('.pin .button-primary'); await page.waitForSelector('.settings'); });
    const plug = (list) => dev({ disks: list });
    await plug([{ id: 'K1' }]);
    await view('usb-plugged', '#/', () => page.waitForSelector('.disks .banner'));
    await view('usb', '#/usb/K1', () => page.waitForSelector('.usb-row'));
    await view('own', '#/own', () => page.waitForTimeout(500));
    await view('own-files', '#/own', async () => { await page.click('.dock .button-primary'); await page.click('.usb-row:has-text("练习题")'); await page.waitForTimeout(300); });
    await view('own-words', '#/own', async () => {
      await page.click('.dock .button-primary');
      await page.click('.usb-row:has-text("练习题")');
      await page.click('.dock .button-next');
      await presses('sanjiaoxing')();
    });
    await plug([]);
    await view('lesson', '#/lesson/lesson-1');
    for (const tool of ['timer', 'seat']) {
      await view(`tool-${tool}`, item(1, 5), async () => { await page.click('.dock [aria-label="工具"]'); await page.click(`.popover-tools .button >> nth=${tool === 'timer' ? 1 : 2}`); await page.waitForTimeout(300); });
    }
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
    const membership = (state, more) => ({
      state, serial: 'BBT2025-0917-00342', fingerprint: '7K3M-9QXZ', county: '昭觉县', classrooms: [], note: null,
      qr_text: 'https://console.example/claim#fp=7K3M-9QXZ', place: { region: '', school: '', classroom: '' }, ...more,
    });
    const nobody = { device: null, console_seen_s: null, online: false, lessons: [], on_board: true };
    const all = await (await fetch(new URL('/api/shelf', base))).json();
    const press = async (text) => { for (const key of text) await page.click(`.key:text-is("${key}")`); };
    const enrol = async (name, state, more, work) => {
      await dev({ ...nobody, membership: membership(state, more) });
      await view(name, '#/', async () => { await page.waitForSelector('.view-enrol, .view-locked, .banner'); if (work) await work(); });
    };
    await enrol('enrol', 'unenrolled', {});
    await enrol('enrol-typed', 'unenrolled', {}, () => press('7K3M9Q'));
    await enrol('enrol-mistyped', 'unenrolled', {}, () => press('7K3M9QXZ0'));
    await dev({ answer: { status: 200, body: { message: '好' }, after_ms: 3000 } });
    await enrol('enrol-asking', 'unenrolled', {}, async () => { await press('7K3M9QX05'); await page.click('.enrol-code .button-primary'); await page.waitForTimeout(1500); });
    await page.waitForTimeout(2000);
    await dev({ answer: { status: 422, body: { code: 'enrol_refused', message: '控制台拒绝了注册：注册码已被使用，每个注册码只能用一次；请在控制台重新签发。 (HTTP 403, request 0192f3c8a7)', classrooms: [] } } });
    await enrol('enrol-refused', 'unenrolled', {}, async () => { await press('7K3M9QX05'); await page.click('.enrol-code .button-primary'); await page.waitForSelector('.enrol-bad'); });
    const rooms = (n) => Array.from({ length: n }, (_, i) => ({ code: `30${i + 1}`, name: `三年级（${i + 1}）班`, school: '解放乡中心小学' }));
    await dev({ answer: { status: 422, body: { code: 'classroom_needed', message: '请选择教室', classrooms: rooms(9) } } });
    await enrol('enrol-rooms', 'unenrolled', {}, async () => { await press('7K3M9QX05'); await page.click('.enrol-code .button-primary'); await page.waitForSelector('.rooms'); });
    await enrol('enrol-usb', 'unenrolled', { classrooms: rooms(40), note: { problem: false, zh: '已从 U 盘得知所属县：昭觉县', en: 'x' } });
    await enrol('enrol-problem', 'unenrolled', { note: { problem: true, zh: 'U 盘不能写入（/media/stick/bbt/requests/t1.json），没有取用注册文件。请关闭 U 盘的写保护，再插一次。', en: 'x' } });
    await enrol('enrol-no-county', 'unenrolled', { county: '', qr_text: '' });
    await dev({ on_board: false });
    await view('enrol-elsewhere', '#/', () => page.waitForSelector('.view-enrol'));
    await enrol('locked', 'locked', { contact: '昭觉县电教站 王老师 0834-1234567', order_id: '01JD3X9K7M' });
    const holds = { ...all, membership: undefined };
    for (const [name, more] of [['provisional', { place: { region: '昭觉县', school: '解放乡中心小学', classroom: '三年级（2）班' } }], ['quarantined', {}], ['revoked', {}], ['replaced', {}]]) {
      await dev({ ...holds, device: name === 'provisional' ? null : all.device, online: false, membership: membership(name, more) });
      await view(`banner-${name}`, '#/', () => page.waitForSelector('.banner'));
    }
    await dev({ ...holds, device: all.device, membership: membership('quarantined', {}) });
    await view('enrol-copy', '#/enrol', () => page.waitForSelector('.view-enrol'));
    await dev({ ...all });
    if (!only.length || only.includes('english')) {
      await page.evaluate(() => localStorage.setItem('bbt.language', 'en'));
      await view('english', '#/', () => page.waitForSelector('.hero'));
      await view('english-shelf', '#/shelf', () => page.waitForSelector('.card'));
      await view('english-fault', '#/fault');
      await view('english-search', '#/search');
      await view('english-help', '#/help');
      await view('english-video', item(1, 0), () => page.waitForTimeout(1000));
    }
  });
}

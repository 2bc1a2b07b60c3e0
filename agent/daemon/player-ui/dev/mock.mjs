// Answers of the Player API for working on the pages: home, lessons, search, exam, faults, use, settings, disks' files,
// own lessons. State lives in `world`; POST /dev changes it (see serve.mjs). Shapes as in the specification.
import { Buffer } from 'node:buffer';

const INITIALS = { '三角形的内角和': 'sjxdnjh', '倍的认识': 'bdrs', '分数的初步认识：几分之一与几分之几的大小比较': 'fsdcbrs', '长方形和正方形': 'cfxhzfx',
  '观潮': 'gc', '大青树下的小学': 'dqsxdxx', '山居秋暝': 'sjqm', '古诗三首': 'gsss', 'Unit 1 My school': 'unit1myschool', '水到哪里去了': 'sdnlql',
  '声音是怎样产生的': 'syszycsd', '彝族舞曲': 'yzwq', '长江三峡': 'cjsx', '旧文档': 'jwd', '口算练习': 'kslx' };
const initials = (title) => INITIALS[title] || INITIALS[title.replace(/\s*\d+$/, '')] || title.toLowerCase();

export function brief(lesson, index) {
  const m = lesson.meta || {};
  return { id: lesson.id, version: lesson.version, title: m.title || '', subject: m.subject || '', grade: m.grade || '', volume: m.volume || '',
    chapter: m.chapter || '', period: m.period || '', state: lesson.state, kinds: [...new Set(lesson.items.map((i) => i.kind))],
    thumbnail: null, items: lesson.items.length, own: Boolean(lesson.own), done_bytes: lesson.done_bytes, total_bytes: lesson.total_bytes,
    reason: lesson.reason, retrying: lesson.retrying, index };
}

// What POST /dev {home: {…}} puts over what follows from the lessons.
export const world = {
  token: 'dev-token', over: {}, uses: [], troubles: [], settings: { language: 'zh-CN', usb_play: true, session: null }, own: [], faults: [],
  examTries: 5, examPin: '246810', technicianPin: '135790',
};

const NOW_MIN = 10 * 60 + 2;

function day(lessons) {
  const named = (title) => { const l = lessons.find((x) => x.meta && x.meta.title === title); return l ? brief(l) : null; };
  const rows = [['语文', 500, 540, '大青树下的小学'], ['数学', 550, 590, '倍的认识'], ['英语', 610, 650, 'Unit 1 My school'], ['科学', 660, 700, '水到哪里去了'],
    ['数学', 840, 880, null], ['音乐', 890, 930, '彝族舞曲'], ['体育与健康', 940, 980, null]];
  return rows.map(([subject, from, to, title], i) => ({ number: i + 1, from_min: from, to_min: to, subject,
    state: to < NOW_MIN ? 'past' : from <= NOW_MIN ? 'now' : i === 2 ? 'next' : 'later', lesson: title ? named(title) : null }));
}

export function home(shelf) {
  const lessons = shelf.lessons;
  const count = (state) => lessons.filter((l) => l.state === state).length;
  const arriving = lessons.filter((l) => l.state === 'fetching' || l.state === 'queued');
  const facets = new Map();
  for (const l of lessons) {
    if (!l.meta) continue;
    const key = [l.meta.subject, l.meta.grade, l.meta.volume].join('|');
    const f = facets.get(key) || { subject: l.meta.subject, grade: l.meta.grade, volume: l.meta.volume, count: 0, ready: 0 };
    f.count += 1;
    if (l.state === 'ready') f.ready += 1;
    facets.set(key, f);
  }
  const periods = day(lessons);
  const next = periods.find((p) => p.state === 'next');
  const at = (n) => lessons[n] && lessons[n].state === 'ready' ? lessons[n] : null;
  const resume = [at(0), at(4)].filter(Boolean).map((l, i) => ({ lesson: brief(l), item: 0, item_title: l.items[0].title,
    position_ms: i ? 0 : 47000, duration_ms: i ? 0 : 90000, at: null }));
  const { lessons: _, ...plain } = shelf;
  return {
    token: world.token, ...plain,
    clock: { now: '2026-11-23T10:02:00+08:00', trusted: true, utc_offset_min: 480 },
    today: { date: '2026-11-23', day_name: null, week: 13, source: 'console', periods },
    next: next ? { period: next, lesson: next.lesson, suggestion: null } : null,
    resume,
    arriving: { total: arriving.length, list: arriving.slice(0, 20).map((l) => ({ lesson: brief(l), done_bytes: l.done_bytes, total_bytes: l.total_bytes, eta_s: l.state === 'fetching' ? 340 : null })), next_at: null },
    tomorrow: { light: 'red', date: '2026-11-24', items: periods.map((p, i) => ({ number: p.number, subject: p.subject, lesson: p.lesson, ready: Boolean(p.lesson && p.lesson.state === 'ready'),
      why: !p.lesson ? 'not_planned' : p.lesson.state === 'ready' ? 'ready' : p.lesson.state === 'failed' ? 'missing' : i === 5 ? 'missing' : 'arriving' })) },
    facets: [...facets.values()],
    counts: { ready: count('ready'), arriving: arriving.length, failed: count('failed'), total: lessons.length },
    exam: { state: 'none', name: '', from: null, to: null, audio: [], audio_now: false, pin_set: true, tries_left: world.examTries, locked_s: 0, lesson_hint: null },
    lock: null,
    help: { office: '县教育局电教站', phone: '0834-123 4567', text: '工作日 8:00–18:00 有人接听\n也可以拨打学校技术老师的电话', web: '' },
    repairs: world.faults.filter((f) => f.repair).map((f) => ({ fault: f.id, class: f.class, symptom: f.symptom, ...f.repair })),
    school_lessons: true, features: { usb_play: world.settings.usb_play, pin_set: true },
    ...world.over,
  };
}

const FAULTS = { display: ['black', 'flicker', 'colour', 'blurred'], touch: ['none', 'offset', 'part'], sound: ['none', 'low', 'noise'],
  network: ['offline', 'slow'], power: ['restarts', 'off', 'slow_start'], accessory: ['remote', 'pen', 'usb', 'camera'], body: ['loose', 'cable', 'noise'],
  software: ['hangs', 'error', 'slow'], lesson: ['not_playing', 'wrong', 'missing'], other: [] };

function examPin(body) {
  if (body.pin === world.examPin) {
    world.over.exam = { ...world.over.exam, state: 'listening', tries_left: 5 };
    world.examTries = 5;
    return [200, world.over.exam];
  }
  world.examTries = Math.max(0, world.examTries - 1);
  if (world.over.exam) world.over.exam = { ...world.over.exam, tries_left: world.examTries, locked_s: world.examTries ? 0 : 60 };
  return [403, { code: 'pin_wrong', message: 'PIN 不对', tries_left: world.examTries, locked_s: world.examTries ? 0 : 60 }];
}

function search(shelf, q, limit) {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  const hits = [];
  for (const l of shelf.lessons) {
    if (!l.meta) continue;
    const title = l.meta.title;
    const short = initials(title);
    const subject = { 数学: 'sx', 语文: 'yw', 英语: 'yy', 科学: 'kx', 音乐: 'yy', 地理: 'dl', 信息科技: 'xxkj' }[l.meta.subject] || '';
    const fits = words.every((w) => title.toLowerCase().includes(w) || short.includes(w) || subject.startsWith(w) || l.meta.grade.includes(w));
    if (!words.length || !fits) continue;
    const plain = title.toLowerCase().indexOf(words[0]);
    const at = short.indexOf(words[0]);
    hits.push({ lesson: brief(l), item: null, field: 'title', matched: plain >= 0 ? [[plain, words[0].length]] : at >= 0 && short.length === title.length ? [[at, words[0].length]] : [] });
  }
  hits.sort((a, b) => (a.lesson.state !== 'ready') - (b.lesson.state !== 'ready'));
  return { total: hits.length, hits: hits.slice(0, limit) };
}

const USB = { '': [['教学资料', 'dir', 0, null], ['三角形 导入.mp4', 'video', 48234496, 'angles.mp4'], ['课文朗读.mp3', 'audio', 320618, 'listening.mp3'],
  ['示意图.png', 'image', 78492, 'map.png'], ['练习题.pdf', 'pdf', 165275, 'textbook.pdf'], ['期末总结.docx', 'other', 34816, null], ['三年级2班.yaml', 'other', 4096, null]],
'教学资料': [['第二课.pdf', 'pdf', 113689, 'slides.pdf']] };

export const disk = { id: 'K1', name: '老师的 U 盘', state: 'idle', packs: [], found: 0, verified: 0, offered: 0, offered_bytes: 0, done_bytes: 0, total_bytes: 0, note: null, writable: true, files: true };
// The check before a class, as the agent words it.
function checkParts() {
  const part = (name, light, code, zh, en, fix = null) => ({ part: name, light, code, zh, en, fix });
  const lesson = world.fallback ? part('lesson', 'green', 'lesson_ready', `下一课《${world.fallback.title}》在本机上，断网也能上。`, `The next lesson, “${world.fallback.title}”, is here and needs no network.`)
    : part('lesson', 'yellow', 'lesson_none', '没有排课。请自己选一课。', 'Nothing is planned. Choose a lesson.', 'lesson');
  return [
    world.poor ? part('network', 'yellow', 'network_lossy', '网络不稳，40% 没有回应。本机的课照常上；直播可能断。', 'The network is unsteady: 40 % got no answer.')
      : part('network', 'green', 'network_good', '网络正常，来回 23 毫秒。', 'The network is fine: 23 ms there and back.'),
    world.mute ? part('sound', 'red', 'sound_mute', '扬声器是静音的。请点“打开声音”。', 'The loudspeaker is muted. Tap “Sound on”.', 'unmute')
      : part('sound', 'green', 'sound_volume', '扬声器已打开，音量 68%。', 'The loudspeaker is on, at 68 %.'),
    lesson,
    part('clock', 'green', 'clock_good', '时间已校准。', 'The clock is right.'),
  ];
}
function liveApps(checked) {
  const good = { part: 'live', light: 'green', code: 'live_good', zh: '可以直播，来回 31 毫秒。', en: 'Ready for a live lesson: 31 ms there and back.', fix: null };
  const bad = { part: 'live', light: 'red', code: 'live_lossy', zh: '网络不稳（40% 没有回应），直播会断。建议改上本机的课。', en: 'The network is unsteady (40 % got no answer): a live lesson would break off.', fix: null };
  return (world.apps || [['meet', '县直播课堂'], ['web', '城乡结对云课堂']]).map(([id, name]) => ({ id, name, running: world.liveRunning === id, ...(checked ? { line: world.poor ? bad : good } : {}) }));
}
const PINYIN = { san: '三 散 伞 叁 三角 三年', sanjiao: '三角 三角形 三 散', sanjiaoxing: '三角形 三角 三 散 伞', sjx: '三角形 世界性 设计性 司 四 是 时 使 世 事' };
const pinyin = (typed) => (PINYIN[typed] || '的 是 一 在 有 不 人').split(' ').map((text) => ({ text, used: text.length === 3 ? typed.length : Math.min(typed.length, 3) }));

// What is made takes three seconds here.
function ownLessons() {
  let making = null;
  if (world.making) {
    const part = (Date.now() - world.making.since) / 3000;
    const { then, since, ...card } = world.making;
    if (part >= 1) { world.making = null; then(); } else making = { ...card, done_bytes: Math.floor(part * card.total_bytes) };
  }
  return { on_board: true, school: true, author: world.author || 'waiting', lessons: world.own, making, note: world.ownNote || null, made: world.made || null, room_bytes: 20e9, limits: { files: 200, chars: 60 } };
}

export const disks = { on_board: true, disks: [], note: null };

const WRITES = {
  '/api/use': (b) => { world.uses.push(b); return [204, null]; },
  '/api/trouble': (b) => { world.troubles.push(b); return [204, null]; },
  '/api/exam/pin': examPin,
  '/api/exam/close': () => { if (world.over.exam) world.over.exam.state = 'silent'; return [200, world.over.exam || {}]; },
  '/api/faults': (b) => {
    if (!FAULTS[b.class]) return [422, { code: 'fault_invalid', message: '没有这种故障' }];
    const fault = { id: `01JD3X9K7M0000000000000${String(world.faults.length).padStart(3, '0')}`, class: b.class, symptom: b.symptom || '', at: '2026-11-23T10:02:00+08:00', sent: false, repair: null };
    world.faults.unshift(fault);
    return [201, fault];
  },
  '/api/lock/open': (b) => { if (b.pin !== world.technicianPin) return [403, { code: 'pin_wrong', message: 'PIN 不对', tries_left: 4, locked_s: 0 }]; world.over.lock = null; return [200, { locked: false }]; },
  '/api/settings/unlock': (b) => b.pin === world.technicianPin ? [200, { session: (world.settings.session = 'dev-session'), ttl_s: 600 }]
    : [403, { code: 'pin_wrong', message: 'PIN 不对，还可以试 4 次', tries_left: 4, locked_s: 0 }],
  '/api/settings': (b) => { if (b.session !== world.settings.session) return [403, { code: 'locked', message: '请重新输入 PIN' }]; const { session, ...more } = b; Object.assign(world.settings, more); return [200, settings()]; },
  '/api/timetable': (b) => b.file ? [200, { periods: 35, needs_first_monday: !b.first_monday }] : [422, { code: 'cses_invalid', message: '第 12 行 start_time：时间写法不对，应为 "08:00:00"' }],
  '/api/timetable/clear': () => [200, { periods: 0 }],
  '/api/class/check': () => [200, { parts: checkParts(), apps: liveApps(true), fallback: world.fallback || null, took_ms: 640 }],
  '/api/class/unmute': () => { world.mute = false; return [200, checkParts()[1]]; },
  '/api/class/open': (b) => {
    const app = liveApps(true).find((one) => one.id === b.app);
    if (!app) return [400, { code: 'bad_wish', message: '提交的内容不符合要求。' }];
    if (app.line.light !== 'green' && !b.anyway) return [200, { opened: false, said: app.line, fallback: world.fallback || null }];
    world.liveRunning = b.app;
    return [200, { opened: true, said: { part: 'live', light: 'green', code: 'live_opened', zh: `“${app.name}”已打开。`, en: `“${app.name}” is open.` }, fallback: world.fallback || null }];
  },
  '/api/class/end': () => { world.liveRunning = null; return [200, { ended: true }]; },
  '/api/own-lessons': (b) => {
    world.making = { step: 'make', title: b.title, total_bytes: 250e6, since: Date.now(), then: () => {
      const one = { id: b.lesson || `school-${world.own.length + 1}`, version: b.lesson ? 2 : 1, title: b.title, subject: b.subject, grade: b.grade || '', volume: '', chapter: '', items: b.files.length, size_bytes: 125e6, ready: true, barred: false };
      world.own = [one, ...world.own.filter((o) => o.id !== one.id)];
      world.made = one.id;
      world.ownNote = { problem: false, zh: `《${b.title}》已经做好，就在本机书架上，可以上课了。`, en: `“${b.title}” is made.` };
    } };
    return [200, { message: `正在做《${b.title}》，请不要拔出 U 盘。` }];
  },
  '/api/own-lessons/stop': () => { world.making = null; return [200, { message: '已停止，没有留下做了一半的课。' }]; },
};

function settings() {
  const { session, ...plain } = world.settings;
  return { ...plain, pin_set: true, timetable: { source: 'console', periods: 35 }, device: { id: 'bbt-0001', serial: 'BBT2025-0917-00342' }, version: '0.5.0' };
}

const PRIVACY = { sections: [
  { id: 'use', zh: '使用统计', en: 'Use', every: '发给县平台，每 5 分钟', every_en: 'To the county, every 5 minutes', fields: [['date', '哪一天', 'Which day'], ['lesson', '打开了哪节课', 'Which lesson'], ['opens', '打开几次', 'How often it was opened'], ['seconds', '放映了多少秒', 'Seconds shown']].map(([name, zh, en]) => ({ name, zh, en })) },
  { id: 'health', zh: '设备状态', en: 'Health', every: '发给县平台，每分钟', every_en: 'To the county, each minute', fields: [['cpu_percent', '处理器忙碌程度', 'Processor load'], ['temperature_celsius', '机内温度', 'Temperature'], ['disk_free_mib', '剩余空间', 'Free space']].map(([name, zh, en]) => ({ name, zh, en })) },
  { id: 'faults', zh: '报修', en: 'Fault reports', every: '报修时', fields: [['class', '故障类别', 'Class of fault'], ['symptom', '现象', 'Symptom']].map(([name, zh, en]) => ({ name, zh, en })) },
], never: { zh: ['学生姓名、照片、声音', '教师姓名', '摄像头和麦克风'], en: ['Names, pictures or voices of pupils', 'Names of teachers', 'Camera and microphone'] } };

// True when it answered. `tools` = {qr(), files root url}.
export function api(req, res, url, shelf, tools) {
  const path = url.pathname;
  const json = (status, body) => { res.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(body === null ? '' : JSON.stringify(body)); return true; };
  const q = url.searchParams;
  if (req.method === 'GET') {
    if (path === '/api/home') return json(200, home(shelf));
    if (path === '/api/lessons') {
      const fits = (l) => ['subject', 'grade', 'volume', 'chapter'].every((n) => !q.get(n) || (l.meta && l.meta[n] === q.get(n))) && (!q.get('state') || l.state === q.get('state'));
      const all = shelf.lessons.filter(fits);
      const chapters = new Map();
      for (const l of shelf.lessons) {
        if (!['subject', 'grade', 'volume'].every((n) => !q.get(n) || (l.meta && l.meta[n] === q.get(n)))) continue;
        const c = (l.meta && l.meta.chapter) || '';
        chapters.set(c, (chapters.get(c) || 0) + 1);
      }
      const from = Number(q.get('offset') || 0);
      return json(200, { total: all.length, lessons: all.slice(from, from + Math.min(100, Number(q.get('limit') || 50))).map(brief), chapters: [...chapters].slice(0, 200).map(([chapter, count]) => ({ chapter, count })) });
    }
    const one = /^\/api\/lessons\/([^/]+)$/.exec(path);
    if (one) {
      const l = shelf.lessons.find((x) => x.id === decodeURIComponent(one[1]));
      return l ? json(200, { ...brief(l), ...l }) : json(404, { code: 'lesson_unknown', message: '没有这节课' });
    }
    if (path === '/api/search') return json(200, search(shelf, q.get('q') || '', Math.min(50, Number(q.get('limit') || 20))));
    if (path === '/api/exam') return json(200, home(shelf).exam);
    if (path === '/api/faults') return json(200, { classes: Object.entries(FAULTS).map(([name, symptoms]) => ({ class: name, symptoms })), faults: world.faults, repairs: home(shelf).repairs });
    if (path === '/api/diag') return json(200, { text: `BBT1.${Buffer.from(JSON.stringify({ d: 'bbt-0001', v: '0.5.0', o: true, L: [10, 2, 2] })).toString('base64url')}`, lines: [
      { zh: '网络：有线 1000 Mbit/s，已连上县平台', en: 'Network: wired 1000 Mbit/s, county connected', bad: false },
      { zh: '时钟：准确', en: 'Clock: right', bad: false },
      { zh: '硬盘：剩余 400 MB，空间不足', en: 'Disk: 400 MB left, too little', bad: true },
      { zh: '温度：52 ℃', en: 'Temperature: 52 °C', bad: false },
      { zh: '课程：10 课可以上，2 课在接收，2 课出错', en: 'Lessons: 10 ready, 2 arriving, 2 failed', bad: true },
      { zh: '软件版本 0.5.0，开机 3 小时 12 分', en: 'Version 0.5.0, up for 3 h 12 min', bad: false }] });
    if (path === '/api/diag.svg') { res.writeHead(200, { 'content-type': 'image/svg+xml', 'cache-control': 'no-store' }).end(tools.qr()); return true; }
    if (path === '/api/privacy') return json(200, PRIVACY);
    if (path === '/api/settings') return json(200, settings());
    if (path === '/api/disks') return json(200, { ...disks, plugged: disks.disks.map(({ id, name }) => ({ id, name })) });
    if (path === '/api/class') return json(200, { apps: liveApps(false) });
    if (path === '/api/pinyin') return json(200, { candidates: pinyin(q.get('q') || '') });
    if (path === '/api/own-lessons') return json(200, ownLessons());
    const files = /^\/api\/disks\/([^/]+)\/files$/.exec(path);
    if (files) {
      const list = USB[q.get('dir') || ''];
      if (!list) return json(404, { code: 'not_found', message: '没有这个文件夹' });
      return json(200, { entries: list.map(([name, kind, size, file]) => ({ name, kind, size, url: file ? `/usb/${files[1]}/${encodeURIComponent(file)}` : null,
        subtitles: file === 'angles.mp4' ? [{ lang: 'zh-CN', label: '字幕', url: `/usb/${files[1]}/angles.zh-CN.vtt` }] : [] })), more: false });
    }
    return false;
  }
  if (req.method !== 'POST' || !path.startsWith('/api/')) return false;
  const confirm = /^\/api\/faults\/([^/]+)\/confirm$/.exec(path);
  const disked = /^\/api\/disks\/([^/]+)\/(import|stop|eject)$/.exec(path);
  const own = /^\/api\/own-lessons\/([^/]+)\/(write|remove)$/.exec(path);
  if (!WRITES[path] && !confirm && !disked && !own) return false;
  let text = '';
  req.on('data', (part) => { text += part; }).on('end', () => {
    if (req.headers['x-bbt-page'] !== '1' || req.headers['x-bbt-token'] !== world.token) return json(403, { code: 'token', message: '请求没有带本页的令牌' });
    let body;
    try { body = JSON.parse(text || '{}'); } catch { return json(400, { code: 'json', message: '请求不是 JSON' }); }
    if (WRITES[path]) { const [status, answer] = WRITES[path](body); tools.changed(); return json(status, answer); }
    if (confirm) {
      const fault = world.faults.find((f) => f.id === confirm[1]);
      if (!fault) return json(404, { code: 'fault_unknown', message: '没有这个报修' });
      fault.repair = { ...fault.repair, state: body.fixed ? 'confirmed' : 'reopened' };
      tools.changed();
      return json(200, fault);
    }
    if (disked) {
      const one = disks.disks.find((d) => d.id === disked[1]);
      if (one && disked[2] === 'eject') { one.state = 'ejected'; one.note = { problem: false, zh: '可以拔出了', en: 'It may be pulled out' }; }
      return json(200, { message: '好' });
    }
    if (own[2] === 'remove') world.own = world.own.filter((o) => o.id !== own[1]);
    if (own[2] === 'write') {
      const { title } = world.own.find((o) => o.id === own[1]) || { title: '' };
      world.making = { step: 'write', title, total_bytes: 125e6, since: Date.now(), then: () => {
        world.ownNote = { problem: false, zh: `《${title}》已经写到 U 盘。插到本校别的终端上，它们会问要不要导入。`, en: `“${title}” is on the disk.` };
      } };
    }
    return json(200, { message: '好' });
  });
  return true;
}

// The Player API on sample lessons, for working on the pages without an agent. Not embedded, not a reference:
// what the agent serves is in the specification. POST /dev {online|notices|lessons…} changes what it says;
// {home: {…}} puts fields over /api/home, {disks: [names]} plugs disks, {world: {…}} is the rest. MANY=20000 makes a large shelf.
import { createServer } from 'node:http';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { api, disk, disks, world } from './mock.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..');
const samples = join(here, '.samples');
const port = Number(process.env.PORT || 8008);
const coursewarePort = Number(process.env.COURSEWARE_PORT || port + 1);
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml', '.png': 'image/png', '.mp4': 'video/mp4', '.mp3': 'audio/mpeg', '.pdf': 'application/pdf',
  '.vtt': 'text/vtt; charset=utf-8', '.txt': 'text/plain; charset=utf-8' };

if (!existsSync(join(samples, 'angles.mp4'))) throw new Error('no sample lessons: run npm run samples first');

const file = (name) => `/files/sample/${name}`;
const video = { kind: 'video', title: '内角和的秘密', url: file('angles.mp4'), download: file('angles.mp4'), duration_ms: 90000,
  subtitles: [{ lang: 'zh-CN', label: '简体中文', url: file('angles.zh-CN.vtt') }, { lang: 'en', label: 'English', url: file('angles.en.vtt') }] };
const items = {
  video,
  audio: { kind: 'audio', title: 'Unit 1  My school  课文朗读', url: file('listening.mp3'), download: file('listening.mp3'), duration_ms: 40000,
    subtitles: [{ lang: 'en', label: 'English', url: file('listening.en.vtt') }] },
  image: { kind: 'image', title: '长江三峡水系示意图', url: file('map.png'), download: file('map.png'), subtitles: [] },
  pdf: { kind: 'pdf', title: '课文《观潮》', url: file('textbook.pdf'), download: file('textbook.pdf'), subtitles: [] },
  slides: { kind: 'pdf', title: '圆的面积 讲解', url: file('slides.pdf'), download: file('slides.pdf'), subtitles: [] },
  oldfont: { kind: 'pdf', title: '旧版教案', url: file('oldfont.pdf'), download: file('oldfont.pdf'), subtitles: [] },
  broken: { kind: 'pdf', title: '损坏的文档', url: file('map.png'), download: file('map.png'), subtitles: [] },
  exercise: { kind: 'html5', title: '课堂练习：选一选', url: `http://127.0.0.1:${coursewarePort}/sample/1/exercise/index.html`, download: null, subtitles: [] },
  office: { kind: 'office', title: '教学课件', url: file('game.pptx'), download: file('game.pptx'), subtitles: [] },
};
const meta = (title, subject, grade, volume, chapter, period) => ({ title, stage: /七|八|九/.test(grade) ? '初中' : '小学', subject, edition: '人教版（2022）', grade, volume, chapter, period });
let serial = 0;
const lesson = (m, list, state = { state: 'ready' }) => ({ id: `lesson-${++serial}`, version: 1, meta: m, total_bytes: 183500800, done_bytes: 183500800, ...state, items: list.map((n) => items[n]) });

// A county's shelf: twelve subjects, nine grades, two volumes, eight chapters.
function many(n) {
  const subjects = ['数学', '语文', '英语', '科学', '道德与法治', '音乐', '美术', '信息科技', '劳动', '历史', '地理', '生物'];
  const grades = ['一年级', '二年级', '三年级', '四年级', '五年级', '六年级', '七年级', '八年级', '九年级'];
  return Array.from({ length: n }, (_, i) => lesson(meta(`口算练习 ${i + 1}`, subjects[i % 12], grades[Math.floor(i / 12) % 9], i % 2 ? '上册' : '下册',
    `第${'一二三四五六七八'[Math.floor(i / 216) % 8]}单元`, `第${Math.floor(i / 1728) + 1}课时`), ['slides']));
}

const shelf = {
  device: { id: 'bbt-0001', placement: { region: '昭觉县', school: '解放乡中心小学', classroom: '三年级（2）班' } },
  online: true, console_seen_s: 12,
  lessons: [
    lesson(meta('三角形的内角和', '数学', '四年级', '下册', '第五单元 三角形', '第3课时'), ['video', 'slides', 'exercise', 'image', 'audio', 'pdf', 'office']),
    lesson(meta('倍的认识', '数学', '三年级', '上册', '第五单元 倍的认识', '第1课时'), ['video', 'exercise']),
    lesson(meta('分数的初步认识：几分之一与几分之几的大小比较', '数学', '三年级', '上册', '第八单元', '第2课时'), ['slides', 'exercise']),
    lesson(meta('长方形和正方形', '数学', '三年级', '上册', '第七单元', '第1课时'), ['video'], { state: 'fetching', done_bytes: 115343360 }),
    lesson(meta('观潮', '语文', '四年级', '上册', '第一单元', '第1课时'), ['pdf', 'audio', 'image']),
    lesson(meta('大青树下的小学', '语文', '三年级', '上册', '第一单元', '第1课时'), ['pdf', 'video', 'oldfont']),
    lesson(meta('山居秋暝', '语文', '五年级', '上册', '第七单元', '第2课时'), ['audio', 'pdf']),
    lesson(meta('古诗三首', '语文', '三年级', '上册', '第二单元', '第1课时'), ['audio'], { state: 'queued', done_bytes: 0 }),
    lesson(meta('Unit 1 My school', '英语', '四年级', '下册', 'Unit 1', 'Part A'), ['audio', 'video', 'exercise']),
    lesson(meta('水到哪里去了', '科学', '三年级', '上册', '水', '第1课'), ['video', 'image']),
    lesson(meta('声音是怎样产生的', '科学', '四年级', '上册', '声音', '第2课'), ['video'],
      { state: 'failed', done_bytes: 52428800, reason: 'disk_full', detail: 'need 131072000 bytes, 18874368 free above the reserve', retrying: true }),
    lesson(meta('彝族舞曲', '音乐', '五年级', '下册', '多彩的乡音', '第1课时'), ['audio'],
      { state: 'failed', reason: 'signature_refused', detail: 'manifest signed by unknown key 3f9a…', retrying: false }),
    lesson(meta('长江三峡', '地理', '八年级', '上册', '第二章', '第3节'), ['image', 'pdf']),
    lesson(meta('旧文档', '信息科技', '五年级', '上册', '第一单元', '第1课'), ['oldfont', 'broken']),
    ...many(Number(process.env.MANY || 0)),
  ],
  membership: { state: 'enrolled' }, on_board: true,
  notices: [], disk: { total_bytes: 31138512896, free_bytes: 419430400, lesson_bytes: 9663676416 },
};

// What the page's questions are answered: POST /dev {answer: {status, body, after_ms}}.
let answer = { status: 422, body: { code: 'enrol_refused', message: '控制台拒绝了注册：注册码已被使用，每个注册码只能用一次；请在控制台重新签发。', classrooms: [] } };
const asked = [];

// Looks like a QR code; the agent makes real ones.
function qr() {
  let dots = '', seed = 7;
  const finder = (x, y) => x < 8 && y < 8 || x > 24 && y < 8 || x < 8 && y > 24;
  for (let y = 0; y < 33; y += 1) for (let x = 0; x < 33; x += 1) {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    if (!finder(x, y) && seed > 1073741824) dots += `<path d="M${x + 4} ${y + 4}h1v1h-1z"/>`;
  }
  const eye = (x, y) => `<path d="M${x} ${y}h7v7h-7zm1 1v5h5v-5zm1 1h3v3h-3z" fill-rule="evenodd"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 41 41"><path d="M0 0h41v41H0z" fill="#fff"/>${dots}${eye(4, 4)}${eye(30, 4)}${eye(4, 30)}</svg>`;
}

const live = new Set();
const changed = () => live.forEach((res) => res.write('event: shelf\ndata: {}\n\n'));
// A lesson that arrives while one looks.
const arriving = setInterval(() => {
  const one = shelf.lessons.find((l) => l.state === 'fetching');
  if (!one || process.env.STILL) return;
  one.done_bytes = Math.min(one.total_bytes, one.done_bytes + 2097152);
  if (one.done_bytes === one.total_bytes) one.state = 'ready';
  changed();
}, 1000);
arriving.unref();

function send(req, res, path, headers) {
  if (!existsSync(path) || !statSync(path).isFile()) { res.writeHead(404).end(); return; }
  const size = statSync(path).size;
  const range = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range || '');
  const base = { 'content-type': TYPES[extname(path)] || 'application/octet-stream', 'accept-ranges': 'bytes', 'x-content-type-options': 'nosniff', ...headers };
  if (!range) {
    res.writeHead(200, { ...base, 'content-length': size });
    createReadStream(path).pipe(res);
    return;
  }
  const from = Number(range[1]);
  const to = Math.min(range[2] ? Number(range[2]) : size - 1, size - 1);
  if (from > to) { res.writeHead(416, { 'content-range': `bytes */${size}` }).end(); return; }
  res.writeHead(206, { ...base, 'content-length': to - from + 1, 'content-range': `bytes ${from}-${to}/${size}` });
  const stream = createReadStream(path, { start: from, end: to });
  stream.on('error', () => res.destroy()).pipe(res);
  res.on('close', () => stream.destroy());
}

const inside = (base, path) => { const full = normalize(join(base, decodeURIComponent(path))); return full.startsWith(base) ? full : join(base, 'missing'); };

createServer((req, res) => {
  const { pathname } = new URL(req.url, 'http://x');
  // NO_CSP=1 lets a foreign request out, to see that the journey notices it.
  const csp = process.env.NO_CSP ? {} : { 'content-security-policy': `default-src 'self'; frame-src http://${req.headers.host.split(':')[0]}:${coursewarePort}; style-src 'self'; script-src 'self'; worker-src 'self' blob:` };
  if (req.method === 'POST' && pathname === '/dev') {
    let body = '';
    req.on('data', (part) => { body += part; }).on('end', () => {
      const { answer: next, home, disks: plugged, world: more, ...change } = JSON.parse(body);
      if (next) answer = next;
      if (home) world.over = home;
      if (more) Object.assign(world, more);
      if (plugged) disks.disks = plugged.map((one) => ({ ...disk, ...one }));
      Object.assign(shelf, change);
      changed();
      res.end();
    });
  } else if (req.method === 'POST' && (pathname === '/api/enrol' || pathname === '/api/usb/choose')) {
    let body = '';
    req.on('data', (part) => { body += part; }).on('end', () => {
      asked.push({ path: pathname, body: JSON.parse(body), page: req.headers['x-bbt-page'], type: req.headers['content-type'], origin: req.headers.origin });
      setTimeout(() => res.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body)), answer.after_ms || 50);
    });
  } else if (pathname === '/dev/asked') {
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(asked.splice(0)));
  } else if (pathname === '/dev/world') {
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(world));
  } else if (api(req, res, new URL(req.url, 'http://x'), shelf, { qr, changed })) {
    return;
  } else if (/^\/usb\/[^/]+\//.test(pathname)) {
    send(req, res, inside(samples, pathname.replace(/^\/usb\/[^/]+\//, '')), {});
  } else if (pathname === '/api/qr.svg') {
    res.writeHead(200, { 'content-type': 'image/svg+xml', 'cache-control': 'no-store' }).end(qr());
  } else if (pathname === '/api/shelf') {
    res.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(shelf));
  } else if (pathname === '/api/live') {
    res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    res.write(': hello\n\n');
    live.add(res);
    res.on('close', () => live.delete(res));
  } else if (pathname.startsWith('/files/sample/')) {
    send(req, res, inside(samples, pathname.slice('/files/sample/'.length)), {});
  } else if (pathname === '/' || /^\/(css|js|img|vendor)\//.test(pathname)) {
    send(req, res, pathname === '/' ? join(root, 'index.html') : inside(root, pathname.slice(1)), csp);
  } else {
    res.writeHead(404).end();
  }
}).listen(port, '127.0.0.1', () => console.log(`player http://127.0.0.1:${port}/  courseware :${coursewarePort}`));

createServer((req, res) => {
  const { pathname } = new URL(req.url, 'http://x');
  const match = /^\/sample\/1\/(.+)$/.exec(pathname);
  const sandbox = process.env.OPAQUE ? 'allow-scripts' : 'allow-scripts allow-same-origin';
  const csp = { 'content-security-policy': `sandbox ${sandbox}; default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self'; worker-src blob:; form-action 'none'; frame-ancestors http://127.0.0.1:${port} http://localhost:${port}` };
  if (match) send(req, res, inside(samples, match[1]), csp); else res.writeHead(404).end();
}).listen(coursewarePort, '127.0.0.1');

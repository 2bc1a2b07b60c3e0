// The player in a real Chromium 61: the engine of QtWebEngine 5.10.1, driven over its debugging port.
//
//   BASE_URL=http://127.0.0.1:8008/ ENGINE=<folder made by setup.sh> node dev/old-engine/run.mjs
//
// Opens every page and one item of each kind, fails on any exception, any error of the console, a page without words or a
// document or exercise that stays blank. This engine was built without H.264 and AAC, so of a video only that its page
// stands and says so in words is looked at. SHOTS names a folder for screenshots. Prints one JSON object; exit code 0 only
// when ok.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';

const { BASE_URL: base, ENGINE: engine, SHOTS: shots } = process.env;
if (!base || !engine) {
  console.error('BASE_URL and ENGINE are needed: the address of the player, and the folder that dev/old-engine/setup.sh made');
  process.exit(2);
}
const here = dirname(fileURLToPath(import.meta.url));
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const result = { ok: false, engine: '', checks: [], errors: [] };

const screen = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1920x1080x24'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
const display = await new Promise((done, failed) => {
  screen.on('error', failed);
  screen.on('exit', () => failed(new Error('Xvfb ended')));
  screen.stdio[3].once('data', (bytes) => done(`:${String(bytes).trim()}`));
});
/** One that the system gives nobody else just now. */
const port = await new Promise((done, failed) => {
  const holder = createServer().once('error', failed);
  holder.listen(0, '127.0.0.1', () => { const { port: free } = holder.address(); holder.close(() => done(free)); });
});
const qt = join(engine, 'PyQt5/Qt');
const browser = spawn(join(engine, 'launch'), ['about:blank'], {
  stdio: ['ignore', 'ignore', 'pipe'],
  env: {
    ...process.env, DISPLAY: display, QT_QPA_PLATFORM: 'xcb', QT_LIB: join(qt, 'lib'), LD_LIBRARY_PATH: join(qt, 'lib'),
    QML_FILE: join(here, 'page.qml'), QT_PLUGIN_PATH: join(qt, 'plugins'), QML2_IMPORT_PATH: join(qt, 'qml'),
    // With a thread of its own for drawing the engine now and then dies in Mesa (SIGSEGV): 3 of 11 runs, without it 0 of 20.
    QTWEBENGINE_CHROMIUM_FLAGS: '--disable-gpu', QTWEBENGINE_DISABLE_SANDBOX: '1', QTWEBENGINE_REMOTE_DEBUGGING: `127.0.0.1:${port}`,
  },
});
let complaint = '';
browser.stderr.on('data', (bytes) => { complaint = (complaint + bytes).slice(-2000); });
const end = () => { browser.kill('SIGKILL'); screen.kill('SIGKILL'); };
process.on('exit', end);
// An engine that hangs is a failure that says where, and no wait without an end.
const fail = (why) => {
  console.log(JSON.stringify({ ...result, ok: false, why, complaint }, null, 1));
  process.exit(1);
};
setTimeout(() => fail('not done within 300 s'), 300_000);
browser.on('exit', (code, signal) => fail(`the engine ended by itself: ${code ?? signal}`));

async function target() {
  for (let i = 0; i < 100; i += 1) {
    try {
      const pages = await (await fetch(`http://127.0.0.1:${port}/json`, { signal: AbortSignal.timeout(2_000) })).json();
      if (pages.length) return pages[0].webSocketDebuggerUrl;
    } catch { /* not up yet */ }
    await wait(200);
  }
  throw new Error(`the engine does not come up: ${complaint}`);
}

const socket = new WebSocket(await target());
await new Promise((done, failed) => { socket.once('open', done); socket.once('error', failed); });
const asked = new Map();
let number = 0;
let frames = [];
socket.on('message', (text) => {
  const said = JSON.parse(text);
  if (said.id) {
    const answer = asked.get(said.id);
    asked.delete(said.id);
    if (!answer) return;
    if (said.error) answer.failed(new Error(said.error.message)); else answer.done(said.result);
  } else if (said.method === 'Runtime.exceptionThrown') {
    const { exceptionDetails: what } = said.params;
    result.errors.push(`${what.text} ${what.exception ? what.exception.description : ''} ${what.url || ''}:${what.lineNumber}`);
  } else if (said.method === 'Runtime.executionContextCreated') {
    frames.push(said.params.context);
  } else if (said.method === 'Runtime.executionContextsCleared') {
    frames = [];
  } else if (said.method === 'Runtime.consoleAPICalled' && said.params.type === 'error') {
    result.errors.push(said.params.args.map((a) => a.value || a.description).join(' '));
  } else if (said.method === 'Log.entryAdded' && said.params.entry.level === 'error') {
    // The engine has no H.264: the failure of the video itself is expected, and looked at on its page.
    if (!/\.mp4|\.mp3/.test(said.params.entry.url || '')) result.errors.push(`${said.params.entry.text} ${said.params.entry.url || ''}`);
  }
});
const ask = (method, params = {}) => new Promise((done, failed) => {
  number += 1;
  const late = setTimeout(() => failed(new Error(`${method} was not answered within 45 s: ${String(params.expression ?? params.url ?? '').slice(0, 120)}`)), 45_000);
  const over = (then) => (value) => { clearTimeout(late); then(value); };
  asked.set(number, { done: over(done), failed: over(failed) });
  socket.send(JSON.stringify({ id: number, method, params }));
});
async function evaluate(expression, contextId) {
  const answer = await ask('Runtime.evaluate', {
    expression: `Promise.resolve(${expression})`, awaitPromise: true, returnByValue: true, contextId,
  });
  if (answer.exceptionDetails) throw new Error(answer.exceptionDetails.exception.description || answer.exceptionDetails.text);
  return answer.result.value;
}
async function until(expression, what, seconds = 20) {
  for (let i = 0; i < seconds * 10; i += 1) {
    if (await evaluate(`Boolean(${expression})`)) return;
    await wait(100);
  }
  throw new Error(`${what}: did not come within ${seconds} s; the page says: ${await evaluate('document.body.innerText.slice(0, 300)')}`);
}
async function check(name, work) {
  const before = result.errors.length;
  try {
    const more = await work();
    if (shots) {
      mkdirSync(shots, { recursive: true });
      // Its own screenshots never come; the screen's do.
      spawnSync('ffmpeg', ['-y', '-v', 'error', '-f', 'x11grab', '-video_size', '1920x1080', '-i', display, '-frames:v', '1',
        join(shots, `${name}.png`)]);
    }
    if (result.errors.length > before) throw new Error(result.errors.slice(before).join(' | '));
    result.checks.push({ name, ok: true, ...more });
  } catch (error) {
    result.checks.push({ name, ok: false, reason: error.message });
  }
}
const words = (least) => `document.body.innerText.replace(/\\s/g, '').length > ${least}`;
const go = (hash) => evaluate(`location.hash = ${JSON.stringify(hash)}`);

await Promise.all(['Page.enable', 'Runtime.enable', 'Log.enable'].map((method) => ask(method)));
let lessons = [];
await check('home', async () => {
  await ask('Page.navigate', { url: base });
  await until(`window.BBT && ${words(30)}`, 'the first page');
  result.engine = (await evaluate('navigator.userAgent.match(/Chrome\\/[0-9.]+/)[0]'));
  lessons = (await evaluate("fetch('api/shelf').then(function (r) { return r.json(); })")).lessons;
  if (!/^Chrome\/61\./.test(result.engine)) throw new Error(`this engine is ${result.engine}`);
  return { engine: result.engine, lessons: lessons.length };
});
for (const page of (process.env.PAGES === undefined ? 'shelf,search,help,fault,diag,privacy,settings,tomorrow,more,own' : process.env.PAGES).split(',').filter(Boolean)) {
  await check(page, async () => {
    await go(`#/${page}`);
    await wait(500);
    await until(words(10), `the page ${page}`);
  });
}
// What came with the check before a class: it runs, says its four lights, and makes its sound by what this engine has.
if (process.env.PAGES === undefined) {
  await check('check', async () => {
    await go('#/check');
    await until("document.querySelector('.view-check') && document.querySelector('.view-check').getAttribute('data-took')", 'the check', 40);
    const lights = await evaluate("[].map.call(document.querySelectorAll('.check-row'), function (r) { return r.getAttribute('data-light'); }).join()");
    if (!/^(green|yellow|red)(,(green|yellow|red)){3}$/.test(lights)) throw new Error(`lights: ${lights}`);
    await evaluate('BBT.tone()');
    return { lights };
  });
  await check('pinyin', async () => {
    await go('#/search');
    await until("document.querySelector('[data-key=language]')", 'the keyboard');
    await evaluate("document.querySelector('[data-key=language]').click(), 'sanjiaoxing'.split('').forEach(function (k) { document.querySelector('[data-key=' + k + ']').click(); })");
    await until("document.querySelector('.ime-one') && document.querySelector('.ime-one').textContent === '\u4e09\u89d2\u5f62'", 'the characters');
    await evaluate("document.querySelector('.ime-one').click()");
    await until("document.querySelector('.search-input').value === '\u4e09\u89d2\u5f62'", 'the word');
  });
}
const find = (kind) => {
  for (const lesson of lessons) {
    const index = lesson.state === 'ready' ? lesson.items.findIndex((item) => item.kind === kind) : -1;
    if (index >= 0) return `#/lesson/${encodeURIComponent(lesson.id)}/${index}`;
  }
  return null;
};
const looks = {
  pdf: async () => {
    await until("document.querySelector('.pdf-page[data-drawn=\"yes\"] canvas')", 'a drawn page', 40);
    const ink = await evaluate(`(function () {
      var canvas = document.querySelector('.pdf-page canvas'), ink = 0, i;
      var data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      for (i = 0; i < data.length; i += 4) { if (data[i] + data[i + 1] + data[i + 2] < 600) { ink += 1; } }
      return ink;
    }())`);
    if (ink < 100) throw new Error(`the page is blank: ${ink} dark pixels`);
    return { ink };
  },
  image: async () => {
    await until("Array.prototype.some.call(document.images, function (i) { return i.complete && i.naturalWidth > 100; })", 'a picture');
  },
  html5: async () => {
    await until("document.querySelector('iframe.exercise-loaded')", 'the exercise');
    await wait(500);
    const own = new URL(base).origin;
    const inner = frames.filter((f) => f.origin && f.origin !== own && f.origin !== '://');
    if (!inner.length) throw new Error('the exercise has no origin of its own');
    const text = await evaluate('document.body.innerText.length', inner[inner.length - 1].id);
    if (!text) throw new Error('the exercise is blank');
    return { origin: inner[inner.length - 1].origin, text };
  },
  video: async () => { await until("document.querySelector('video')", 'the video'); await wait(1500); },
  audio: async () => { await until("document.querySelector('audio, video')", 'the audio'); await wait(1500); },
};
for (const [kind, look] of Object.entries(looks)) {
  const hash = find(kind);
  if (!hash) {
    result.checks.push({ name: kind, ok: false, reason: `no ready lesson holds an item of kind ${kind}` });
  } else {
    await check(kind, async () => { await go(hash); return look(); });
  }
}
result.ok = result.checks.every((c) => c.ok);
console.log(JSON.stringify(result, null, 1));
browser.removeAllListeners('exit');
socket.terminate();
end();
process.exit(result.ok ? 0 : 1);

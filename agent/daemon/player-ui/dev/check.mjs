// What a Chrome 61 board and an offline classroom ask of these pages, checked on the text of every file that is served.
import { readFileSync, readdirSync, existsSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createContext, runInContext } from 'node:vm';
import { parse } from 'acorn';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const problems = [];
const report = (file, line, text) => problems.push(`${relative(root, file)}:${line}: ${text}`);
const lineOf = (text, index) => text.slice(0, index).split('\n').length;

function files(dir) {
  if (!existsSync(dir)) return [];
  if (statSync(dir).isFile()) return [dir];
  return readdirSync(dir).flatMap((name) => files(join(dir, name)));
}
const served = ['index.html', 'js', 'css', 'img'].flatMap((name) => files(join(root, name)));

// Names that came after Chrome 61, or that this page has a reason not to use.
const NEW_JS = /\.(replaceAll|flat|flatMap|at|finally|toggleAttribute|replaceChildren|matchAll|trimEnd|trimStart|getTransform|arrayBuffer|decode)\(|\b(fetch\(|globalThis|AbortController|ResizeObserver|structuredClone|queueMicrotask|allSettled|fromEntries|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function)/g;
const NEW_CSS = /(?<![-\w])(gap|row-gap|column-gap|inset(-[a-z]+)?|aspect-ratio|backdrop-filter|place-self|translate|scale|rotate|accent-color|content-visibility)\s*:|:(is|where|has|focus-visible|focus-within-visible)\b|(?<![-\w])(clamp|min|max|env)\(|#[0-9a-f]{8}\b|#[0-9a-f]{4}\b|@(layer|container|property|supports selector)|\d(dvh|svh|lvh|dvw)\b|rgb\([^,)]+\s[^,)]+\)/gi;
const OUTSIDE = /\b(?:https?|wss?):|(?:src|href|url)\s*[=(]\s*["']?\/\//gi;
const NAMESPACES = ['http://www.w3.org/2000/svg'];

const CATALOGUE = /messages(-[a-z]+)?\.js$/;

function stripComments(text, kind) {
  const blank = (match) => match.replace(/[^\n]/g, ' ');
  if (kind === 'html') return text.replace(/<!--[\s\S]*?-->/g, blank);
  return text.replace(/\/\*[\s\S]*?\*\//g, blank);
}

for (const file of served) {
  const text = readFileSync(file, 'utf8');
  const kind = file.split('.').pop();
  let bare = kind === 'js' ? text : stripComments(text, kind);
  if (kind === 'js') {
    const comments = [];
    try {
      parse(text, { ecmaVersion: 5, sourceType: 'script', onComment: comments });
    } catch (error) {
      report(file, error.loc ? error.loc.line : 1, `not ES5: ${error.message}`);
      continue;
    }
    for (const c of comments) bare = bare.slice(0, c.start) + bare.slice(c.start, c.end).replace(/[^\n]/g, ' ') + bare.slice(c.end);
    for (const m of bare.matchAll(NEW_JS)) report(file, lineOf(bare, m.index), `not in Chrome 61 or not wanted here: ${m[0]}`);
    // Sentences live in messages*.js: any Chinese outside them is one that cannot be switched.
    if (!CATALOGUE.test(file)) {
      for (const m of bare.matchAll(/[\u3400-\u9fff]+/g)) report(file, lineOf(bare, m.index), `a sentence outside the catalogue: ${m[0]}`);
    }
  }
  if (kind === 'css') {
    for (const m of bare.matchAll(NEW_CSS)) report(file, lineOf(bare, m.index), `not in Chrome 61: ${m[0]}`);
  }
  if (kind === 'html') {
    for (const m of bare.matchAll(/<script(?![^>]*\bsrc=)|\sstyle=|<style|\son[a-z]+=|javascript:/gi)) {
      report(file, lineOf(bare, m.index), `refused by the page's CSP: ${m[0].trim()}`);
    }
  }
  for (const ns of NAMESPACES) bare = bare.split(ns).join(' '.repeat(ns.length));
  for (const m of bare.matchAll(OUTSIDE)) report(file, lineOf(bare, m.index), `an address outside the device: ${m[0]}`);
}

// The catalogues: equal keys, equal placeholders, every key used, every used key there.
const catalogue = join(root, 'js', 'messages.js');
const window = {};
const page = createContext({ window });
const catalogues = served.filter((f) => CATALOGUE.test(f)).sort((a, b) => a.length - b.length);
for (const file of catalogues) runInContext(readFileSync(file, 'utf8'), page);
const { messages } = window.BBT;
const [first, ...others] = Object.keys(messages);
const holes = (text) => (text.match(/\{\w+\}/g) || []).sort().join();
for (const other of others) {
  for (const key of new Set([...Object.keys(messages[first]), ...Object.keys(messages[other])])) {
    const a = messages[first][key];
    const b = messages[other][key];
    if (a === undefined || b === undefined) report(catalogue, 1, `${key} is missing in ${a === undefined ? first : other}`);
    else if (holes(a) !== holes(b)) report(catalogue, 1, `${key} has other placeholders in ${other} than in ${first}`);
  }
}
const code = served.filter((f) => f.endsWith('.js') && !CATALOGUE.test(f)).map((f) => readFileSync(f, 'utf8')).join('\n');
// Keys put together at run time, by their beginning.
const BUILT = ['banner.', 'kind.', 'failed.', 'media.back', 'media.forward', 'pdf.', 'date.weekday', 'hero.', 'period.', 'tomorrow.', 'search.example', 'help.step', 'fault.', 'symptom.',
  'repair.', 'settings.in_', 'settings.timetable_', 'pen.colour', 'own.step_', 'own.author_', 'check.part_'];
for (const key of Object.keys(messages[first])) {
  if (!code.includes(`'${key}'`) && !BUILT.some((b) => key.startsWith(b))) report(catalogue, 1, `${key} is never used`);
}
for (const m of code.matchAll(/\bt\('([a-z0-9_.]+)'\s*[,)]/g)) {
  if (messages[first][m[1]] === undefined) report(catalogue, 1, `${m[1]} is used but not there`);
}

// Icons: every one used exists.
const html = readFileSync(join(root, 'index.html'), 'utf8');
for (const m of code.matchAll(/icon(?:: |\()'([a-z0-9]+)'(?! \+)/g)) {
  if (!html.includes(`id="i-${m[1]}"`)) report(join(root, 'index.html'), 1, `icon i-${m[1]} is used but not there`);
}

// The vendored files, when they are there: only syntax that Chrome 61 parses.
for (const file of files(join(root, 'vendor')).filter((f) => f.endsWith('.js'))) {
  try {
    parse(readFileSync(file, 'utf8'), { ecmaVersion: 2017, sourceType: 'script' });
  } catch (error) {
    report(file, error.loc ? error.loc.line : 1, `not ES2017: ${error.message}`);
  }
}

for (const problem of problems) console.error(problem);
console.log(`${served.length} files checked, ${problems.length} problems`);
process.exit(problems.length ? 1 : 0);

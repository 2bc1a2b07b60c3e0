/**
 * Help as files that the console serves beside its pages: a short text for each page (`help/<language>/<route>.md`), and the
 * book (`docs/src`), so that a county without the internet can read it. Nothing of it is in the scripts.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { Marked, type Tokens } from "marked";
import type { Plugin } from "vite";

const HELP = fileURLToPath(new URL("../help", import.meta.url));
const BOOK = fileURLToPath(new URL("../../../docs/src", import.meta.url));
/** Why something is as it is concerns whoever changes the programs, not whoever works with them. */
const LEFT_OUT = /^decisions\//;

export const LANGUAGES = ["zh-CN", "en"] as const;

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
/** A heading's words without its marks. */
const plain = (text: string): string => text.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/[`*]/g, "");
/** The name of a heading in an address, as mdBook makes it. */
export const anchor = (heading: string): string => [...plain(heading)].map((letter) => (/[\p{L}\p{N}_-]/u.test(letter) ? letter.toLowerCase() : /\s/.test(letter) ? "-" : "")).join("");

export interface Chapter { path: string; title: string; depth: number }

/** Chapters of the book that the console carries, in the book's order. */
export function chapters(): Chapter[] {
  const summary = join(BOOK, "SUMMARY.md");
  if (!existsSync(summary)) throw new Error(`the book is not where the help links to it: ${summary}`);
  const found = [...readFileSync(summary, "utf8").matchAll(/^( *)(?:- )?\[(.+?)\]\((.+?\.md)\)/gm)];
  return found.map(([, indent = "", title = "", path = ""]) => ({ path, title, depth: indent.length / 2 })).filter((chapter) => !LEFT_OUT.test(chapter.path));
}

/** Markdown as HTML; `to` says where a link leads, or that it leads nowhere here. */
function html(markdown: string, to: (href: string) => { href: string; blank?: boolean } | null): string {
  const seen = new Map<string, number>();
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text }: Tokens.Heading) {
        const id = anchor(text);
        const before = seen.get(id) ?? 0;
        seen.set(id, before + 1);
        return `<h${depth} id="${before ? `${id}-${before}` : id}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      link({ href, tokens }: Tokens.Link) {
        const words = this.parser.parseInline(tokens);
        const where = to(href);
        return where ? `<a href="${escaped(where.href)}"${where.blank ? ' target="_blank" rel="noopener"' : ""}>${words}</a>` : words;
      },
      // Nobody writes markup into these texts: what looks like it is shown.
      html: ({ text }: Tokens.HTML | Tokens.Tag) => escaped(text),
      image: ({ text }: Tokens.Image) => escaped(text),
    },
  });
  return marked.parse(markdown, { async: false });
}

const named = (href: string): [path: string, hash: string] => {
  const at = href.indexOf("#");
  return at < 0 ? [href, ""] : [href.slice(0, at), href.slice(at)];
};
const page = (path: string): string => path.replace(/\.md$/, ".html");

/** The short help of one page. `book:…` is a chapter, `/…` a page of the console. */
export function helpText(markdown: string): string {
  const made = html(markdown, (href) => {
    if (href.startsWith("/")) return { href };
    if (!href.startsWith("book:")) throw new Error(`help may link to /pages and book:chapters only, not to ${href}`);
    const [path, hash] = named(href.slice("book:".length));
    return { href: `/help/book/${page(path)}${encodeURI(hash)}`, blank: true };
  });
  // A cell that is nothing but words of the page needs no marks around them.
  return made.replaceAll(/<td>((?:“[^”<]+”[\s、,]*)+)<\/td>/g, (_cell, words: string) => `<td>${words.replaceAll(/[“”]/g, "")}</td>`);
}

const STYLE = `:root{color-scheme:light dark;--line:#d8dee4;--soft:#f3f6f9;--link:#0b66c3;--text:#1d2731;--back:#fff}
@media(prefers-color-scheme:dark){:root{--line:#38424c;--soft:#1c2329;--link:#7ab8f5;--text:#dde4ea;--back:#13181c}}
*{box-sizing:border-box}body{margin:0;font:16px/1.7 system-ui,"Noto Sans CJK SC","Microsoft YaHei",sans-serif;color:var(--text);background:var(--back);display:grid;grid-template-columns:250px minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow-y:auto;padding:18px 12px 40px;border-right:1px solid var(--line);background:var(--soft);font-size:14px}
nav ul{list-style:none;margin:0;padding:0}nav li a{display:block;padding:3px 8px;border-radius:5px;color:inherit;text-decoration:none}nav li a:hover{text-decoration:underline}nav a[aria-current]{font-weight:600;color:var(--link)}nav .d1{padding-left:14px}
main{padding:24px 40px 80px;max-width:60em}a{color:var(--link)}h1,h2,h3{line-height:1.35;scroll-margin-top:12px}h2{margin-top:2em;padding-bottom:4px;border-bottom:1px solid var(--line)}
:target{background:color-mix(in srgb,var(--link) 16%,transparent)}table{border-collapse:collapse;display:block;overflow-x:auto}th,td{border:1px solid var(--line);padding:6px 10px;text-align:left;vertical-align:top}th{background:var(--soft)}
code{font-family:ui-monospace,"Noto Sans Mono CJK SC",monospace;font-size:.9em;background:var(--soft);padding:1px 4px;border-radius:4px;overflow-wrap:anywhere}pre{background:var(--soft);padding:12px 14px;overflow-x:auto;border-radius:8px}pre code{padding:0;background:none;overflow-wrap:normal}
@media(max-width:900px){body{display:block}nav{position:static;height:auto;border-right:0;border-bottom:1px solid var(--line)}main{padding:16px}}@media print{nav{display:none}body{display:block}}`;

/** One chapter as a page of its own that needs nothing else. */
export function chapterPage(chapter: Chapter, all: Chapter[]): string {
  const here = posix.dirname(chapter.path);
  const carried = new Set(all.map((one) => one.path));
  const body = html(readFileSync(join(BOOK, chapter.path), "utf8"), (href) => {
    if (/^https?:/.test(href)) return { href, blank: true };
    const [path, hash] = named(href);
    if (!path) return { href: encodeURI(hash) };
    const at = posix.normalize(posix.join(here, path));
    return carried.has(at) ? { href: page(posix.relative(here, at)) + encodeURI(hash) } : null;
  });
  const entry = (one: Chapter): string => `<li class="d${Math.min(1, one.depth)}"><a href="${escaped(page(posix.relative(here, one.path)))}"${one.path === chapter.path ? ' aria-current="page"' : ""}>${escaped(plain(one.title))}</a></li>`;
  return `<!doctype html>\n<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${escaped(plain(chapter.title))} · 班班通终端</title><style>${STYLE}</style></head>\n<body><nav aria-label="目录"><ul>${all.map(entry).join("")}</ul></nav><main>${body}</main></body></html>\n`;
}

/** Names in `help/<language>`: routes that have a text. */
export const helped = (language: string): string[] => readdirSync(join(HELP, language)).filter((name) => name.endsWith(".md")).map((name) => name.slice(0, -3)).sort();
export const helpSource = (language: string, name: string): string => readFileSync(join(HELP, language, `${name}.md`), "utf8");

/** Everything, by its name under the pages' folder. */
export function helpFiles(): Map<string, string> {
  const files = new Map<string, string>();
  for (const language of LANGUAGES) for (const name of helped(language)) files.set(`help/${language}/${name}.html`, helpText(helpSource(language, name)));
  const all = chapters();
  for (const chapter of all) files.set(`help/book/${page(chapter.path)}`, chapterPage(chapter, all));
  const first = all[0];
  if (first) files.set("help/book/index.html", chapterPage(first, all));
  return files;
}

/** Puts the files beside the built page, and serves them while working on it. */
export function help(): Plugin {
  return {
    name: "help",
    generateBundle() {
      for (const [fileName, source] of helpFiles()) this.emitFile({ type: "asset", fileName, source });
    },
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const path = decodeURIComponent((request.url ?? "").split("?")[0] ?? "").slice(1);
        const found = path.startsWith("help/") ? helpFiles().get(path) : undefined;
        if (found === undefined) return next();
        response.setHeader("Content-Type", "text/html; charset=utf-8");
        response.end(found);
      });
    },
  };
}

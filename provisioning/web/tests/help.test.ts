import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

import { anchor, chapters, helped, helpFiles, helpSource, helpText, LANGUAGES } from "../dev/help.ts";
import en from "../src/locales/en";
import type { Words } from "../src/locales/merge";
import zhCN from "../src/locales/zh-CN";

const router = readFileSync("src/router.ts", "utf8");
const routes = [...new Set([...router.matchAll(/\bname: "([\w-]+)"/g)].map((m) => m[1]!))].sort();
const paths = new Set([...router.matchAll(/\bpath: "([^":*]*)"/g)].map((m) => (m[1]!.startsWith("/") ? m[1]! : `/${m[1]!}`)));
const sentences = (tree: Words): string[] => Object.values(tree).flatMap((value) => (typeof value === "string" ? [value] : sentences(value)));
const catalogue = { "zh-CN": sentences(zhCN).join("\n"), en: sentences(en).join("\n") };
const files = helpFiles();
const words = (html: string): string => html.replace(/<[^>]+>/g, "");

describe("help", () => {
  it("is there for every page in both languages, and for no page that is none", () => {
    expect(routes.length).toBeGreaterThan(45);
    for (const language of LANGUAGES) expect(helped(language), language).toEqual(routes);
  });

  it("says what the page is for, and what to do, and leads to the book", () => {
    for (const language of LANGUAGES) {
      for (const name of routes) {
        const html = files.get(`help/${language}/${name}.html`) ?? "";
        const at = `${language}/${name}`;
        expect(html, at).toMatch(/^<h1 /);
        expect(html.match(/<h1 /g), at).toHaveLength(1);
        expect(html, at).toMatch(/<h2 /);
        expect(html, at).toContain('href="/help/book/');
        const length = words(html).trim().length;
        expect(length, at).toBeGreaterThan(language === "en" ? 250 : 100);
        // Beside a page one reads half a screen, not a chapter.
        expect(length, at).toBeLessThan(language === "en" ? 2_600 : 1_000);
      }
    }
  });

  it("quotes only words that stand on the pages", () => {
    const wrong: string[] = [];
    for (const language of LANGUAGES) {
      for (const name of helped(language)) {
        for (const [, quoted] of helpSource(language, name).matchAll(/“([^”]+)”/g)) {
          if (!catalogue[language].includes(quoted!)) wrong.push(`${language}/${name}: ${quoted!}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  it("leads to pages that exist, and to headings of the book that exist", () => {
    const wrong: string[] = [];
    for (const [file, html] of files) {
      if (file.startsWith("help/book/")) continue;
      for (const [, href] of html.matchAll(/href="([^"]+)"/g)) {
        const [path, hash] = decodeURI(href!).split("#");
        if (path!.startsWith("/help/")) {
          const page = files.get(path!.slice(1));
          if (page === undefined || (hash && !page.includes(`id="${hash}"`))) wrong.push(`${file}: ${href!}`);
        } else if (!paths.has(path!)) wrong.push(`${file}: ${href!}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("is in its own language", () => {
    for (const name of helped("en")) expect(words(helpText(helpSource("en", name))), name).not.toMatch(/[\u3400-\u9fff]/);
    for (const name of helped("zh-CN")) expect(words(helpText(helpSource("zh-CN", name))), name).toMatch(/[\u3400-\u9fff]{10}/);
  });

  it("holds nothing that a browser would run, and fetches nothing", () => {
    for (const [file, html] of files) {
      expect(html, file).not.toMatch(/<(script|iframe|img|object|link)\b|\son\w+=|javascript:/i);
      if (!file.startsWith("help/book/")) expect(html, file).not.toContain("<style");
    }
    expect(helpText("a <script>alert(1)</script> b")).toContain("&lt;script&gt;");
    expect(() => helpText("[out](https://example.com)")).toThrow("example.com");
  });
});

describe("the book that the console carries", () => {
  it("has every chapter but the decisions, and no link within it leads nowhere", () => {
    const carried = chapters();
    expect(carried.some((chapter) => chapter.path === "guide/operators.md")).toBe(true);
    expect(carried.some((chapter) => chapter.path.startsWith("decisions/"))).toBe(false);
    const wrong: string[] = [];
    for (const [file, html] of files) {
      if (!file.startsWith("help/book/")) continue;
      for (const [, href] of html.matchAll(/href="([^"]+)"/g)) {
        if (/^https?:/.test(href!)) continue;
        const to = new URL(href!, `http://console/${file}`);
        const page = files.get(to.pathname.slice(1));
        if (page === undefined || (to.hash && !page.includes(`id="${decodeURIComponent(to.hash.slice(1))}"`))) wrong.push(`${file}: ${decodeURI(href!)}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("names headings as mdBook does", () => {
    expect(anchor("学校：区域、学校与教室")).toBe("学校区域学校与教室");
    expect(anchor("控制台时间可疑（`clock_doubtful`）")).toBe("控制台时间可疑clock_doubtful");
    expect(anchor("课程包：U 盘和光盘")).toBe("课程包u-盘和光盘");
    expect(anchor("Getting *in* — [here](x.md)")).toBe("getting-in--here");
  });
});

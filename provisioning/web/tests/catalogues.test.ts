import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

import en from "../src/locales/en";
import { merge, type Words } from "../src/locales/merge";
import zhCN from "../src/locales/zh-CN";

function flat(tree: Words, under = ""): Map<string, string> {
  const out = new Map<string, string>();
  for (const [key, value] of Object.entries(tree)) {
    const path = under ? `${under}.${key}` : key;
    if (typeof value === "string") out.set(path, value);
    else for (const [k, v] of flat(value, path)) out.set(k, v);
  }
  return out;
}

const zh = flat(zhCN);
const english = flat(en);
const holes = (text: string): string[] => [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!))].sort();

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? sources(join(folder, entry.name)) : [join(folder, entry.name)],
  );
}
const files = sources("src").filter((f) => /\.(vue|ts)$/.test(f) && !f.includes("locales") && !f.endsWith("schema.d.ts"));

describe("catalogues", () => {
  it("join areas under one heading and refuse two files with the same sentence", () => {
    expect(merge([{ page: { a: "1" } }, { page: { b: "2" } }])).toEqual({ page: { a: "1", b: "2" } });
    expect(() => merge([{ page: { a: "1" } }, { page: { a: "2" } }])).toThrow("page.a");
  });

  it("have the same keys", () => {
    expect([...english.keys()].sort()).toEqual([...zh.keys()].sort());
  });

  it("leave no message empty and fill no hole that the other language does not have", () => {
    for (const [key, text] of zh) {
      expect(text.trim(), key).not.toBe("");
      const other = english.get(key) ?? "";
      // A plural form may spell "one" out, so English may use fewer holes in one of its forms, never other ones.
      expect(holes(other).filter((h) => !holes(text).includes(h)), key).toEqual([]);
      expect(holes(text).filter((h) => !holes(other).includes(h)), key).toEqual([]);
    }
  });

  it("have every key that a page asks for by name", () => {
    const missing: string[] = [];
    for (const file of files) {
      const text = readFileSync(file, "utf8");
      for (const [, key] of text.matchAll(/\bte?\(\s*["']([\w.-]+)["']/g)) if (!zh.has(key!)) missing.push(`${file}: ${key}`);
      // Keys built at run time: their fixed beginning must lead somewhere.
      for (const [, start] of text.matchAll(/\bte?\(\s*`([\w.]+)\.\$\{/g)) {
        if (![...zh.keys()].some((k) => k.startsWith(`${start}.`))) missing.push(`${file}: ${start}.*`);
      }
    }
    expect(missing).toEqual([]);
  });

  it("are the only place with sentences: no page holds Chinese text", () => {
    const found = files.filter((file) => {
      const text = readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*$|<!--[\s\S]*?-->/gm, "");
      return /[\u3400-\u9fff\uff00-\uffef\u3000-\u303f]/.test(text);
    });
    expect(found).toEqual([]);
  });
});

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

import type { SecurityEvent } from "../src/api/types";
import { between, objectPage, WRITES } from "../src/lib/audit";
import { browserName, judgePassword } from "../src/lib/people";
import { rightsTable } from "../src/lib/rights";
import { facts, inOrder } from "../src/lib/security";
import en from "../src/locales/en";
import type { Words } from "../src/locales/merge";
import zhCN from "../src/locales/zh-CN";
import { MENU } from "../src/menu";

const say = (words: Words, path: string): unknown => path.split(".").reduce<string | Words | undefined>((at, key) => (typeof at === "object" ? at[key] : undefined), words);
/** The console's own data: what the page must have words for. */
const matrix = readFileSync("../console/permissions.toml", "utf8");
const actions = [...matrix.matchAll(/^name = "([^"]+)"/gm)].map((m) => m[1]!);
const roles = [...matrix.matchAll(/^id = "([^"]+)"/gm)].map((m) => m[1]!);

describe("what the console counts and records", () => {
  it("has a word for every kind of object that a record is about, and every counter", () => {
    const kinds = [...readFileSync("../console/src/audit/door.rs", "utf8").matchAll(/^        "[a-z-]+" => "([a-z_]+)",$/gm)].map((m) => m[1]!);
    const counters = [...(/^ {8}IngestCounters: \{([\s\S]*?)^ {8}\};/m.exec(readFileSync("src/api/schema.d.ts", "utf8"))?.[1] ?? "").matchAll(/^ {12}(\w+)\??: number;/gm)].map((m) => m[1]!);
    expect(kinds.length).toBeGreaterThan(20);
    expect(counters.length).toBeGreaterThan(4);
    for (const words of [zhCN, en]) {
      expect(kinds.filter((kind) => typeof say(words, `objectKind.${kind}`) !== "string")).toEqual([]);
      expect(counters.filter((key) => typeof say(words, `ingest.${key}`) !== "string")).toEqual([]);
    }
  });
});

describe("rights", () => {
  it("have a word for every action and role of the console, in both languages", () => {
    expect(actions.length).toBeGreaterThan(25);
    expect(roles.length).toBe(8);
    for (const words of [zhCN, en]) {
      expect(actions.filter((name) => typeof say(words, `right.${name}`) !== "string")).toEqual([]);
      expect(roles.filter((id) => typeof say(words, `role.${id}`) !== "string" || typeof say(words, `roleText.${id}`) !== "string")).toEqual([]);
    }
  });
  it("are asked for by names that the console knows", () => {
    expect(MENU.flatMap((group) => group.entries).map((entry) => entry.action).filter((name) => !actions.includes(name))).toEqual([]);
    const router = readFileSync("src/router.ts", "utf8");
    expect([...router.matchAll(/action: "([^"]+)"/g)].map((m) => m[1]!).filter((name) => !actions.includes(name))).toEqual([]);
  });
  it("of the audit log's filter cover every action that changes something", () => {
    const reading = (name: string): boolean => name.endsWith(".read") || name.endsWith("_read") || name === "pushes.forecast";
    expect(actions.filter((name) => !reading(name) && !(WRITES as readonly string[]).includes(name))).toEqual([]);
  });
  it("stand in groups, what belongs together side by side, and an unknown noun at the end", () => {
    const table = rightsTable({ roles: [{ id: "auditor", actions: ["audit.read", "devices.read", "new.thing"] }, { id: "technician", actions: ["health.read", "devices.read"] }] });
    expect(table.map((group) => group.key)).toEqual(["devices", "safety", "new"]);
    expect(table[0]!.actions.map((action) => [action.name, [...action.roles]])).toEqual([["devices.read", ["auditor", "technician"]], ["health.read", ["technician"]]]);
  });
});

describe("passwords", () => {
  const failed = (password: string, name = "admin") => judgePassword(password, name).rules.filter((rule) => !rule.met).map((rule) => rule.key);
  it("are judged as the console judges them", () => {
    expect(failed("青山依旧在几度夕阳红")).toEqual([]);
    expect(failed("short1!")).toEqual(["length"]);
    expect(failed("aaaaaaaaaaab")).toEqual(["different"]);
    expect(failed("Admin-12345")).toEqual(["notName"]);
    expect(failed("Admin-and-much-more")).toEqual([]);
    expect(failed("")).toEqual(["length", "different", "notName"]);
  });
});

describe("audit", () => {
  it("leads from a record to its object", () => {
    expect(objectPage({ object_kind: "device", object: "bbt-1" })).toBe("/devices/bbt-1");
    expect(objectPage({ object_kind: "user", object: "7" })).toBe("/people/7");
    expect(objectPage({ object_kind: "user", object: "zhang" })).toBe("/people?q=zhang");
    expect(objectPage({ object_kind: "batch", object: "2" })).toBeNull();
    expect(objectPage({ object_kind: "device", object: "" })).toBeNull();
  });
  it("takes the last day whole, over a change of month", () => {
    const { from, to } = between("custom", 0, new Date(2026, 0, 30, 9), new Date(2026, 0, 31, 9));
    expect(new Date(from!).getTime()).toBe(new Date(2026, 0, 30).getTime());
    expect(new Date(to!).getTime()).toBe(new Date(2026, 1, 1).getTime());
    expect(between("all", 0, null, null)).toEqual({});
    expect(between("7d", 8 * 86_400_000, null, null)).toEqual({ from: new Date(86_400_000).toISOString() });
  });
});

describe("security events", () => {
  const event = (id: number, last: string, done?: string) => ({ id, kind: "foreign_name", address: "", detail: {}, first_at: last, last_at: last, times: 1, acknowledged_at: done ?? null }) as SecurityEvent;
  it("come open first, newest first", () => {
    expect(inOrder([event(1, "2026-11-20"), event(2, "2026-11-22", "2026-11-22"), event(3, "2026-11-21")]).map((e) => e.id)).toEqual([3, 1, 2]);
  });
  it("tell their facts without the empty ones", () => {
    expect(facts({ ...event(1, "2026-11-20"), detail: { mark: "mcu", none: null, list: [1] } })).toEqual([{ key: "mark", value: "mcu" }, { key: "list", value: "[1]" }]);
  });
});

describe("browsers", () => {
  it("are named by what people call them", () => {
    expect(browserName("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/126.0 Safari/537.36 Edg/126.0")).toBe("Edge · Windows");
    expect(browserName("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Safari/604.1")).toBe("Safari · iPhone");
    expect(browserName("x")).toBe("");
  });
});

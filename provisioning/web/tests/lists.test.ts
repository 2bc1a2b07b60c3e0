import { describe, expect, it } from "vitest";

import { byRegion, frame, levelOf, placed, spots } from "../src/lib/county";
import { asked, COLUMNS, FILTERS, MORE } from "../src/lib/devices";
import { chosenColumns, isListKey, nextSort, OWN_KEYS, readList, sortOf, usualColumns, viewQuery, viewText, writeList, type ListSpec } from "../src/lib/lists";
import { best, fit, numberIn } from "../src/lib/palette";

const spec: ListSpec<{ q: string; show: string }> = {
  filters: { q: "", show: "open" },
  columns: [{ key: "name", label: "x.name", sort: "name", always: true }, { key: "heat", label: "x.heat", sort: "heat", down: true }, { key: "board", label: "x.board", extra: true }, { key: "cpu", label: "x.cpu", roomy: true }],
  sort: "name",
};
const none = readList(spec, {});

describe("a list's address", () => {
  it("is empty as long as nothing was touched", () => {
    expect(writeList(spec, none)).toEqual({});
    expect(none).toEqual({ filter: { q: "", show: "open" }, sort: "name", page: 1, size: 50, columns: null });
  });
  it("holds everything that was chosen, and reads the same back", () => {
    const state = { filter: { q: "三年级 & (1)", show: "all" }, sort: "-heat", page: 3, size: 200, columns: ["name", "board"] };
    const query = writeList(spec, state);
    expect(query).toEqual({ q: "三年级 & (1)", show: "all", sort: "-heat", page: "3", size: "200", cols: "name,board" });
    expect(readList(spec, Object.fromEntries(new URLSearchParams(query)))).toEqual(state);
  });
  it("tells 'nothing chosen' from 'the usual'", () => {
    const query = writeList(spec, { ...none, filter: { q: "", show: "" }, sort: "" });
    expect(query).toEqual({ show: "", sort: "" });
    expect(readList(spec, query)).toMatchObject({ filter: { show: "" }, sort: "" });
  });
  it("does not believe what it does not know", () => {
    expect(readList(spec, { sort: "password", page: "-4", size: "9999999", cols: "evil,<b>", q: ["a", "b"] })).toEqual({ ...none, filter: { q: "a", show: "open" } });
    expect(readList(spec, { page: "1e9x", cols: "heat,evil" }).columns).toEqual(["heat"]);
  });
  it("knows which keys are its own", () => {
    expect(["q", "show", ...OWN_KEYS].every((key) => isListKey(spec, key))).toBe(true);
    expect(isListKey(spec, "tab")).toBe(false);
  });
  it("becomes a view without page and columns, and a view becomes it again", () => {
    const text = viewText(spec, { ...none, filter: { q: "a b", show: "all" }, sort: "-heat", page: 7, columns: ["board"] });
    expect(text).toBe("q=a+b&show=all&sort=-heat");
    expect(readList(spec, viewQuery(text))).toMatchObject({ filter: { q: "a b", show: "all" }, sort: "-heat", page: 1 });
  });
});

describe("columns", () => {
  it("are the usual ones until somebody chooses, and what a row needs is always there", () => {
    expect(usualColumns(spec.columns, false)).toEqual(["name", "heat"]);
    expect(usualColumns(spec.columns, true)).toEqual(["name", "heat", "cpu"]);
    expect(chosenColumns(spec.columns, ["board"]).map((c) => c.key)).toEqual(["name", "board"]);
  });
  it("sort their own way first, then the other, then not", () => {
    const [name, heat, board] = spec.columns as [ListSpec<never>["columns"][number], ListSpec<never>["columns"][number], ListSpec<never>["columns"][number]];
    expect([nextSort(name, ""), nextSort(name, "name"), nextSort(name, "-name")]).toEqual(["name", "-name", ""]);
    expect([nextSort(heat, "name"), nextSort(heat, "-heat"), nextSort(heat, "heat")]).toEqual(["-heat", "heat", ""]);
    expect(nextSort(board, "name")).toBe("name");
    expect([sortOf(heat, "heat"), sortOf(heat, "-heat"), sortOf(heat, "name"), sortOf(board, "")]).toEqual(["ascending", "descending", "none", "none"]);
  });
});

describe("the list of devices", () => {
  it("asks in the console's words", () => {
    const now = Date.parse("2026-11-23T09:12:34Z");
    expect(asked({ ...FILTERS, q: " 三年级 ", state: "offline,off", place: "school:7", agent: "0.1.0", hot: "75", full: "10", silent: "3" }, now)).toEqual({
      school_id: 7, state: "offline,off", why: undefined, standing: undefined, board: undefined, agent_version: "0.1.0", lessons: undefined,
      temperature_from: 75, disk_free_below_percent: 10, silent_since: "2026-11-20T09:00:00.000Z", q: "三年级",
    });
    expect(asked({ ...FILTERS, place: "region:2", hot: "warm" }, now)).toMatchObject({ region_id: 2, temperature_from: undefined });
  });
  it("has no filter that the list itself is called by, and hides only filters that exist", () => {
    expect(Object.keys(FILTERS).filter((key) => (OWN_KEYS as readonly string[]).includes(key))).toEqual([]);
    expect(MORE.filter((key) => !(key in FILTERS))).toEqual([]);
    expect(new Set(COLUMNS.map((c) => c.key)).size).toBe(COLUMNS.length);
  });
});

describe("the palette", () => {
  it("puts what begins like it before what holds it, and letters left out last", () => {
    expect(best(["告警与事件", "工单", "待处理工单", "工作清单"], "工单", (x) => x, 9)).toEqual(["工单", "待处理工单", "工作清单"]);
    expect(fit("Work orders", "wo") > fit("Two worlds", "wo")).toBe(true);
    expect(fit("终端", "学校")).toBe(0);
    expect(best(["b", "a"], "", (x) => x, 9)).toEqual(["b", "a"]);
  });
  it("takes numbers as people write them", () => {
    expect([numberIn("12"), numberIn("#12"), numberIn(" 000012 "), numberIn("0"), numberIn("12a"), numberIn("三")]).toEqual([12, 12, 12, null, null, null]);
  });
});

describe("the county's picture", () => {
  const school = (id: number, devices: number, online: number, more: object = {}) => ({ id, name: `校${id}`, kind: "school", code: String(id), classrooms: devices, devices, online, offline: devices - online, off: 0, unknown: 0, latitude: null as number | null, longitude: null as number | null, ...more });
  const regions = [
    { id: 1, parent_id: null, kind: "county", name: "县", code: null, schools: [school(1, 4, 4), school(2, 0, 0)] },
    { id: 2, parent_id: 1, kind: "township", name: "镇", code: null, schools: [school(3, 10, 2, { offline: 1, latitude: 25.1, longitude: 110.2 }), school(4, 30, 0)] },
  ];
  it("counts as away what should be there, not what may be off", () => {
    expect(spots(regions).map((s) => [s.away, s.level])).toEqual([[0, "fine"], [0, "none"], [1, "some"], [30, "most"]]);
    expect([levelOf(10, 2), levelOf(10, 5), levelOf(1, 1), levelOf(5, 1)]).toEqual(["many", "most", "most", "many"]);
    // What nobody knows is not fine.
    expect([levelOf(10, 0, 5), levelOf(10, 0, 4), levelOf(10, 1, 9), levelOf(0, 0, 0)]).toEqual(["unsure", "fine", "some", "none"]);
  });
  it("has the largest first and leaves out what has nothing", () => {
    expect(byRegion(spots(regions)).map((r) => [r.name, r.schools.map((s) => s.id)])).toEqual([["镇", [4, 3]], ["县", [1]]]);
  });
  it("frames its points without bending them, and a lone school as well", () => {
    const all = placed(spots(regions));
    expect(all.map((s) => s.id)).toEqual([3]);
    const wide = frame([...all, { latitude: 25.3, longitude: 110.9 }], 800, 400);
    expect(wide.west < 110.2 && wide.east > 110.9 && wide.south < 25.1 && wide.north > 25.3).toBe(true);
    const perDegree = Math.cos((25.2 * Math.PI) / 180);
    expect(((wide.east - wide.west) * perDegree) / 800).toBeCloseTo((wide.north - wide.south) / 400, 6);
    const lone = frame(all, 300, 300);
    expect(lone.north - lone.south).toBeGreaterThan(0.03);
  });
});

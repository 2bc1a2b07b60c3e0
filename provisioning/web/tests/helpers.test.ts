import { describe, expect, it } from "vitest";

import { readProblem } from "../src/api/problem";
import type { HealthPoint, TreeRegion } from "../src/api/types";
import { binaryStep, bytes, csv, csvCell, percent, playingTime, share, span, version } from "../src/lib/format";
import { gaps, rate, series, usedMemory } from "../src/lib/series";
import { buildTree, firstOwn, parseKey, pathTo } from "../src/lib/tree";

describe("figures", () => {
  it("shows bytes with at most three digits", () => {
    expect([0, 1023, 1536, 10 * 1024 ** 2, 123.4 * 1024 ** 3].map((n) => bytes(n))).toEqual(["0 B", "1023 B", "1.5 KB", "10 MB", "123 GB"]);
    expect(bytes(null)).toBe("–");
    expect(bytes(Number.NaN)).toBe("–");
  });
  it("divides an axis of bytes into steps that read well", () => {
    const GiB = 1024 ** 3;
    expect(binaryStep(5.8 * GiB)).toBe(8 * GiB);
    expect(bytes(binaryStep(23.3 * GiB / 4) * 3)).toBe("24 GB");
    expect(binaryStep(700)).toBe(1024);
    expect(binaryStep(1)).toBe(1);
    expect([binaryStep(0), binaryStep(-4), binaryStep(Number.NaN)]).toEqual([0, 0, 0]);
  });
  it("says a version that is a moment as that moment", () => {
    expect(version(7)).toBe("7");
    expect(version(1_795_433_895)).toMatch(/^2026-11-2\d \d\d:\d\d:15$/);
  });
  it("never says 100 % before it is all there", () => {
    expect(share(999_999, 1_000_000)).toBe(99);
    expect(share(1, 1)).toBe(100);
    expect(share(0, 0)).toBe(0);
  });
  it("rounds percent and playing time", () => {
    expect(percent(3.14)).toBe("3.1%");
    expect(percent(99.6)).toBe("100%");
    expect(playingTime(83_000)).toBe("1:23");
    expect(playingTime(3_723_000)).toBe("1:02:03");
  });
  it("names a span in its largest unit", () => {
    expect(span(2_000)).toEqual({ unit: "now", count: 0 });
    expect(span(119_000)).toEqual({ unit: "minutes", count: 1 });
    expect(span(47 * 3_600_000)).toEqual({ unit: "hours", count: 47 });
    expect(span(-5)).toEqual({ unit: "now", count: 0 });
  });
});

describe("csv", () => {
  it("defuses formulas and quotes what needs it, but leaves numbers", () => {
    expect(csvCell("=1+1")).toBe("'=1+1");
    expect(csvCell("@x")).toBe("'@x");
    expect(csvCell(-3.5)).toBe("-3.5");
    expect(csvCell('a"b,c')).toBe('"a""b,c"');
    expect(csv([["甲", 1]])).toBe("\uFEFF甲,1\r\n");
  });
});

const at = (minute: number, boot = "a", cpu: number | null = 10): HealthPoint => ({
  at: new Date(Date.UTC(2026, 10, 22, 8, minute)).toISOString(),
  boot_id: boot,
  seq: minute + 1,
  readings: { cpu_percent: cpu, network_rx_bytes: 600 },
});

describe("series", () => {
  const points = [at(0), at(1), at(2), at(20), at(21), at(22, "b")];
  it("breaks the line where samples are missing and where a new power-up begins", () => {
    const values = series(points, (r) => r.cpu_percent).map(([, v]) => v);
    expect(values).toEqual([10, 10, 10, null, 10, 10, null, 10]);
  });
  it("finds the same gap for shading", () => {
    expect(gaps(points)).toEqual([[Date.parse(points[2]!.at), Date.parse(points[3]!.at)]]);
  });
  it("keeps a reading that the board cannot give as a hole, not as zero", () => {
    expect(series([at(0, "a", null), at(1)], (r) => r.cpu_percent).map(([, v]) => v)).toEqual([null, 10]);
  });
  it("counts traffic per second, and not over a restart", () => {
    expect(rate(600, points[0], points[1]!)).toBe(80);
    expect(rate(600, points[4], points[5]!)).toBeNull();
    expect(rate(600, undefined, points[0]!)).toBeNull();
  });
  it("derives used memory", () => {
    expect(usedMemory({ memory_total_bytes: 1000, memory_available_bytes: 250 })).toBe(75);
    expect(usedMemory({ memory_total_bytes: 1000 })).toBeNull();
  });
});

describe("tree", () => {
  const school = (id: number, devices: number, online: number) => ({ id, name: `s${id}`, kind: "school", code: `${id}`, classrooms: 2, devices, online, offline: devices - online, off: 0, unknown: 0 });
  const regions: TreeRegion[] = [
    { id: 1, parent_id: null, kind: "county", name: "county", schools: [school(1, 2, 1)] },
    { id: 2, parent_id: 1, kind: "township", name: "township", schools: [school(2, 3, 3)] },
    { id: 3, parent_id: 99, kind: "county", name: "orphan", schools: [] },
  ];
  it("adds up below each region and keeps an orphan as a root", () => {
    const roots = buildTree(regions);
    expect(roots.map((r) => [r.key, r.devices, r.online, r.schools])).toEqual([["region:1", 5, 4, 2], ["region:3", 0, 0, 0]]);
  });
  it("finds the way to a node", () => {
    expect(pathTo(buildTree(regions), "school:2").map((n) => n.key)).toEqual(["region:1", "region:2", "school:2"]);
    expect(pathTo(buildTree(regions), "school:9")).toEqual([]);
  });
  it("begins below what only shows the way down", () => {
    const way: TreeRegion[] = [{ id: 1, parent_id: null, kind: "city", name: "city", above: true, schools: [] }, { id: 2, parent_id: 1, kind: "county", name: "county", above: false, schools: [] }];
    expect(firstOwn(buildTree(way))?.key).toBe("region:2");
    expect(firstOwn([])).toBeUndefined();
  });
  it("survives a circle", () => {
    const circle: TreeRegion[] = [{ id: 1, parent_id: 2, kind: "county", name: "a", schools: [] }, { id: 2, parent_id: 1, kind: "county", name: "b", schools: [] }];
    expect(buildTree(circle)).toEqual([]);
  });
  it("reads keys", () => {
    expect(parseKey("school:12")).toEqual({ kind: "school", id: 12 });
    expect(parseKey("device:x")).toBeNull();
    expect(parseKey(undefined)).toBeNull();
  });
});

describe("problem", () => {
  it("keeps what the console says", () => {
    expect(readProblem(404, { code: "device_unknown", message: "m", detail: "d", request_id: "r" }, null)).toMatchObject({ code: "device_unknown", message: "m", request_id: "r" });
  });
  it("makes something showable of a proxy's page", () => {
    expect(readProblem(502, "<html>", "req-1")).toMatchObject({ status: 502, code: "http_502", detail: "<html>", request_id: "req-1" });
  });
});

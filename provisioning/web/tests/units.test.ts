import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

import { grouped } from "../src/lib/format";
import { secondsOf } from "../src/lib/indicators";
import { sides, type Point } from "../src/lib/labels";
import { amount, unitOf } from "../src/lib/metrics";
import zhCN from "../src/locales/zh-CN";

const words = zhCN as unknown as { metric: Record<string, string>; unit: Record<string, string>; unitName: Record<string, string> };
const say = (unit: string, n: string): string => words.unit[unit]!.replace("{n}", n);

describe("a figure says what it is of", () => {
  it("by its reading's name", () => {
    expect(unitOf("temperature_celsius")).toBe("celsius");
    expect(unitOf("link_mbps")).toBe("mbps");
    expect(unitOf("screen_on_s")).toBe("s");
    expect(unitOf("lessons_failed")).toBeNull();
    expect(amount("temperature_celsius", 85, say)).toBe("85 °C");
    expect(amount("disk_used_percent", 92.5, say)).toBe("92.5%");
    expect(amount("console_rtt_ms", 1500, say)).toBe("1,500 毫秒");
    expect(amount("disk_free_bytes", 1.5 * 1024 ** 3, say)).toBe("1.5 GB");
    expect(amount("outbox_samples", 20_000, say)).toBe("20,000");
  });
  it("and there is a word for every reading that a rule may look at, and for its unit", () => {
    const schema = JSON.parse(readFileSync("openapi.json", "utf8")) as { components: { schemas: Record<string, { properties: object }> } };
    const built = [...readFileSync("../console/data/alert-rules.toml", "utf8").matchAll(/metric = "(\w+)"/g)].map((m) => m[1]!);
    expect(built.length).toBeGreaterThan(10);
    const all = [...new Set([...Object.keys(schema.components.schemas.Readings!.properties), ...built, "lessons_missing"])];
    expect(all.filter((name) => !words.metric[name])).toEqual([]);
    expect(all.filter((name) => { const unit = unitOf(name); return unit && !words.unitName[unit]; })).toEqual([]);
  });
  it("sums of seconds are known as such, as the dictionary words them", () => {
    const text = readFileSync("../console/data/indicators.toml", "utf8");
    const found = [...text.matchAll(/\nid = "(\w+)"\nkind = "(\w+)"[\s\S]*?\nformula = "([^"]*)"/g)].map(([, id, kind, formula]) => ({ id: id!, kind: kind!, formula: formula! }));
    expect(found.length).toBeGreaterThan(20);
    for (const one of found) {
      const [above = "", below = ""] = one.formula.split("÷");
      expect(secondsOf(one), one.id).toEqual({ num: above.includes("秒"), den: below.includes("秒") });
    }
    expect(secondsOf(undefined)).toEqual({ num: false, den: false });
  });
  it("thousands stand apart", () => {
    expect(grouped(3_543_800)).toBe("3,543,800");
    expect(grouped(954)).toBe("954");
    expect(grouped(-1234.5)).toBe("-1,234.5");
  });
});

describe("names beside points", () => {
  const at = (x: number, y: number, name = "云溪镇中心小学", size = 20): Point => ({ x, y, name, size });
  it("stand on the right, or where nothing else is", () => {
    expect(sides([at(50, 50)], 400, 200, 12)).toEqual(["right"]);
    expect(sides([at(380, 50)], 400, 200, 12)).toEqual(["left"]);
    // The second would cover the first one's name.
    expect(sides([at(50, 50), at(90, 62)], 400, 200, 12)[0]).not.toBe("right");
    expect(sides([at(100, 50), at(100, 58, "红岩", 4)], 400, 200, 12)).toEqual(["right", "bottom"]);
  });
  it("keep silent where there is no room, the first ones last of all", () => {
    const crowd = Array.from({ length: 12 }, (_, i) => at(200 + (i % 3) * 6, 100 + Math.floor(i / 3) * 6));
    const found = sides(crowd, 400, 200, 12);
    expect(found[0]).not.toBeNull();
    expect(found.filter((side) => side === null).length).toBeGreaterThan(4);
  });
});

import { describe, expect, it } from "vitest";

import type { Escalations, Incident } from "../src/api/incidents";
import type { OrderAct, OrderSlaRow } from "../src/api/orders";
import type { TreeRegion } from "../src/api/types";
import { clock } from "../src/lib/clocks";
import { escalationRows, faultOf, incidentState } from "../src/lib/incidents";
import { itemsOf, POINTS, type Looked, type Point } from "../src/lib/inspection";
import { demand, mbps, monthOf } from "../src/lib/lines";
import { addresses, answered, classes } from "../src/lib/network";
import { presses } from "../src/lib/orders";
import { below, offered, schoolsBelow } from "../src/lib/places";
import { daysOf, SPANS } from "../src/lib/ranges";
import { linesOf } from "../src/lib/series";
import { changed, sorted, tooShort } from "../src/lib/slas";

describe("an incident's one word", () => {
  const now = Date.parse("2026-11-23T08:00:00Z");
  const of = (more: Partial<Incident>) => incidentState({ resolved_at: null, cleared_at: null, snoozed_until: null, acknowledged_at: null, ...more }, now);
  it("is the one that says most", () => {
    expect(of({})).toBe("open");
    expect(of({ acknowledged_at: "2026-11-23T07:00:00Z" })).toBe("acknowledged");
    expect(of({ acknowledged_at: "2026-11-23T07:00:00Z", snoozed_until: "2026-11-23T09:00:00Z" })).toBe("snoozed");
    expect(of({ snoozed_until: "2026-11-23T09:00:00Z", cleared_at: "2026-11-23T07:30:00Z" })).toBe("cleared");
    expect(of({ cleared_at: "2026-11-23T07:30:00Z", resolved_at: "2026-11-23T07:40:00Z" })).toBe("resolved");
  });
  it("forgets a snooze that is over, to the second", () => {
    expect(of({ snoozed_until: "2026-11-23T08:00:00Z" })).toBe("open");
    expect(of({ snoozed_until: "2026-11-23T08:00:01Z" })).toBe("snoozed");
    expect(of({ snoozed_until: "2026-11-23T07:00:00Z", acknowledged_at: "2026-11-23T06:00:00Z" })).toBe("acknowledged");
  });
  it("leads to the class of its order", () => {
    expect((["line", "power", "power_or_line", "device", "unknown"] as const).map(faultOf)).toEqual(["network", "power", "power", "other", "other"]);
  });
});

describe("escalation", () => {
  const built = { region_id: null, critical_minutes: 30, warning_minutes: 0 };
  it("shows what is built in where nothing is set, and says so", () => {
    expect(escalationRows({ items: [], default: built })).toEqual([{ region: null, critical: 30, warning: 0, builtIn: true }]);
  });
  it("puts what holds everywhere first, and each region once", () => {
    const found: Escalations = { default: built, items: [{ region_id: 4, critical_minutes: 10, warning_minutes: 60 }, { critical_minutes: 20, warning_minutes: 5 }] };
    expect(escalationRows(found)).toEqual([{ region: null, critical: 20, warning: 5, builtIn: false }, { region: 4, critical: 10, warning: 60, builtIn: false }]);
  });
});

describe("what can be pressed on an order", () => {
  const all = () => true;
  const steps = (next: OrderAct[], may: (right: string) => boolean) => presses(next, may).map((p) => p.step);
  it("puts the likely step first and marks only that", () => {
    const found = presses(["noted", "cancelled", "on_site", "repaired"], all);
    expect(found.map((p) => [p.step, p.likely])).toEqual([["on_site", true], ["note", false], ["cancel", false], ["repaired", false]]);
  });
  it("leaves out what the person may not, and what nobody presses", () => {
    expect(steps(["accepted", "assigned", "climbed", "noted", "cancelled"], (r) => r === "orders.work")).toEqual(["accept", "note"]);
    expect(steps(["confirmed", "reopened", "closed"], (r) => r === "orders.work")).toEqual([]);
    expect(steps([], all)).toEqual([]);
  });
  it("lets a technician work and a school judge, never the other way", () => {
    expect(steps(["confirmed", "reopened"], (r) => r === "orders.verdict")).toEqual(["confirm", "reopen"]);
    expect(steps(["accepted"], (r) => r === "orders.verdict")).toEqual([]);
  });
  it("asks why where somebody will want to know", () => {
    const why = Object.fromEntries(presses(["accepted", "reopened", "cancelled", "noted", "closed"], all).map((p) => [p.step, p.why]));
    expect(why).toEqual({ accept: false, reopen: true, cancel: true, note: true, close: false });
  });
});

describe("a time that somebody took", () => {
  it("is in the units that people say", () => {
    expect(clock(0)).toEqual({ key: "minutes", a: 0, b: 0 });
    expect(clock(-5)).toEqual({ key: "minutes", a: 0, b: 0 });
    expect(clock(59 * 60 + 29)).toEqual({ key: "minutes", a: 59, b: 0 });
    expect(clock(59 * 60 + 30)).toEqual({ key: "wholeHours", a: 1, b: 0 });
    expect(clock(11_700)).toEqual({ key: "hours", a: 3, b: 15 });
    expect(clock(48 * 3600 - 60)).toEqual({ key: "hours", a: 47, b: 59 });
    expect(clock(50 * 3600)).toEqual({ key: "days", a: 2, b: 2 });
    expect(clock(48 * 3600)).toEqual({ key: "wholeDays", a: 2, b: 0 });
  });
});

describe("lines", () => {
  it("write a rate in Mbit/s, and nothing as a dash, not as zero", () => {
    expect([199_440, 40_000, 3_800, 0, 1_234_500].map(mbps)).toEqual(["199.4", "40", "3.8", "0", "1235"]);
    expect([null, undefined].map(mbps)).toEqual(["–", "–"]);
    expect(monthOf("2026-11-23")).toBe("2026-11");
  });
  it("tell a plan without a rate from one that names one way only", () => {
    expect(demand({ down_mbps: null, up_mbps: null, access_percent: 100 })).toEqual({ rate: null, access: 100 });
    expect(demand({ down_mbps: 100 })).toEqual({ rate: { down: "100", up: "–" }, access: null });
    expect(demand({ down_mbps: 200, up_mbps: 40, access_percent: 0 })).toEqual({ rate: { down: "200", up: "40" }, access: 0 });
  });
});

describe("stretches of days", () => {
  it("follow the week and the month that a day is in", () => {
    const monday = "2026-11-23";
    expect(SPANS.map((s) => daysOf(s, monday))).toEqual([
      { from: "2026-11-23", to: "2026-11-23" }, { from: "2026-11-23", to: "2026-11-29" }, { from: "2026-11-16", to: "2026-11-22" },
      { from: "2026-11-01", to: "2026-11-23" }, { from: "2026-10-25", to: "2026-11-23" },
    ]);
  });
  it("cross the year, and a Sunday ends its week", () => {
    expect(daysOf("week", "2027-01-03")).toEqual({ from: "2026-12-28", to: "2027-01-03" });
    expect(daysOf("lastWeek", "2027-01-04")).toEqual({ from: "2026-12-28", to: "2027-01-03" });
    expect(daysOf("days30", "2028-03-01")).toEqual({ from: "2028-02-01", to: "2028-03-01" });
  });
});

describe("condensed readings", () => {
  const at = (minute: number, value: number) => ({ at: new Date(Date.UTC(2026, 10, 23, 8, minute)).toISOString(), value });
  const set = { step_s: 300, series: [{ metric: "cpu_percent", points: [at(0, 1), at(5, 2), at(10, 3), at(30, 4)] }] };
  it("break where slots are missing, and only there", () => {
    expect(linesOf(set, ["cpu_percent"])[0]?.samples.map(([, v]) => v)).toEqual([1, 2, 3, null, 4]);
    const late = { step_s: 300, series: [{ metric: "cpu_percent", points: [at(0, 1), at(12, 2), at(25, 3)] }] };
    expect(linesOf(late, ["cpu_percent"])[0]?.samples.map(([, v]) => v)).toEqual([1, 2, null, 3]);
  });
  it("keep the order asked for, with an empty line for what the console has not", () => {
    expect(linesOf(set, ["dns_ms", "cpu_percent"]).map((l) => [l.metric, l.samples.length])).toEqual([["dns_ms", 0], ["cpu_percent", 5]]);
  });
});

describe("times allowed", () => {
  const row = (cls: OrderSlaRow["class"], urgent: boolean, own: boolean, respond_min = 60, repair_min = 480): OrderSlaRow => ({ class: cls, urgent, own, sla: { clock: "class", respond_min, repair_min } });
  const rows = [row("resource", false, false), row("infrastructure", false, true), row("infrastructure", true, false)];
  it("stand in the order in which people read them, as copies", () => {
    const shown = sorted(rows);
    expect(shown.map((r) => [r.class, r.urgent])).toEqual([["infrastructure", true], ["infrastructure", false], ["resource", false]]);
    shown[0]!.sla.respond_min = 1;
    expect(rows[2]!.sla.respond_min).toBe(60);
  });
  it("are changed by a new time or by taking one back, not by a figure that is not set here", () => {
    expect(changed(sorted(rows), rows)).toBe(false);
    expect(changed(rows.map((r) => ({ ...r, own: false })), rows)).toBe(true);
    expect(changed(rows.map((r) => (r.own ? row(r.class, r.urgent, true, 30) : r)), rows)).toBe(true);
    expect(changed(rows.map((r) => (r.own ? r : row(r.class, r.urgent, false, 5))), rows)).toBe(false);
  });
  it("never allow a repair less than its response", () => {
    expect(tooShort(row("resource", true, true, 60, 59))).toBe(true);
    expect(tooShort(row("resource", true, true, 60, 60))).toBe(false);
    expect(tooShort(row("resource", true, false, 60, 1))).toBe(false);
  });
});

describe("regions and their schools", () => {
  const school = (id: number, name: string) => ({ id, name, kind: "school", code: `${id}`, classrooms: 1, devices: 0, online: 0 });
  const region = (id: number, parent_id: number | null, ...schools: ReturnType<typeof school>[]): TreeRegion => ({ id, parent_id, kind: "county", name: `r${id}`, schools }) as TreeRegion;
  const regions = [region(3, 2, school(30, "丙")), region(1, null, school(10, "甲")), region(2, 1, school(20, "乙")), region(9, null, school(90, "丁"))];
  it("reach all below, whatever the order of the list", () => {
    expect([...below(regions, 1)].sort()).toEqual([1, 2, 3]);
    expect(schoolsBelow(regions, 1).map((s) => s.id).sort()).toEqual([10, 20, 30]);
    expect(schoolsBelow(regions, 3).map((s) => s.id)).toEqual([30]);
  });
  it("end in a circle", () => {
    expect([...below([region(1, 2), region(2, 1)], 1)].sort()).toEqual([1, 2]);
  });
});

describe("an inspection by hand", () => {
  const nothing = (): Record<Point, Looked> => Object.fromEntries(POINTS.map((p) => [p, { result: "", value: "" }])) as Record<Point, Looked>;
  it("tells only what somebody looked at", () => {
    const looked = nothing();
    expect(itemsOf(looked)).toEqual([]);
    looked.screen = { result: "fail", value: " 左下角花屏 " };
    looked.sound = { result: "pass", value: "" };
    expect(itemsOf(looked)).toEqual([{ point: "screen", result: "fail", value: "左下角花屏" }, { point: "sound", result: "pass" }]);
  });
});

describe("a device's network", () => {
  it("tells not looked at from no", () => {
    expect([true, false, null, undefined].map(answered)).toEqual(["answers", "silent", "unknown", "unknown"]);
    expect([[true, true], [true, false], [false, true], [false, false]].map(([ipv4, ipv6]) => addresses({ ipv4: ipv4!, ipv6: ipv6! }))).toEqual(["both", "v4", "v6", "noAddress"]);
  });
  it("puts the rest under other, never less than nothing", () => {
    const t = { hours: 24, rx_bytes: 1000, tx_bytes: 100, lessons_line_bytes: 500, lessons_lan_bytes: 200, lessons_given_bytes: 50, telemetry_bytes: 20 };
    expect(Object.fromEntries(classes(t).map((c) => [c.key, c.bytes]))).toEqual({ lessons: 500, lan: 200, given: 50, telemetry: 20, other: 330 });
    expect(classes({ ...t, rx_bytes: 0, tx_bytes: 0 }).at(-1)).toEqual({ key: "other", bytes: 0 });
  });
});

describe("places to choose from", () => {
  const place = (key: string, above = false) => ({ key, kind: key.split(":")[0] ?? "", above });
  const all = [place("region:1", true), place("region:2"), ...Array.from({ length: 200 }, (_, n) => place(`school:${n}`))];
  const keys = (how: Parameters<typeof offered>[1]) => offered(all, how).map((one) => one.key);

  it("are not made before somebody looks", () => {
    expect(keys({ opened: false, chosen: "" })).toEqual([]);
    expect(keys({ opened: true, chosen: "" })).toHaveLength(201);
    expect(keys({ opened: true, chosen: "", schoolsOnly: true })).toHaveLength(200);
  });
  it("have the name of what is chosen all the same", () => {
    expect(keys({ opened: false, chosen: "school:7" })).toEqual(["school:7"]);
    expect(keys({ opened: false, chosen: ["school:7", "region:2"] })).toEqual(["region:2", "school:7"]);
    expect(keys({ opened: false, chosen: "region:1" })).toEqual([]);
  });
});

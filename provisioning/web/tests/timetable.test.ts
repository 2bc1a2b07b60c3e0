import { describe, expect, it } from "vitest";

import { daysOf } from "../src/lib/ranges";
import { addDays, badRows, clock, minutes, mondayOf, nextRow, shade, timeOf, toPeriods, toRows, weekday, type Period } from "../src/lib/timetable";

const week: Period[] = [
  { day: 1, weeks: "all", number: 1, from_min: 480, to_min: 520, subject: "语文" },
  { day: 1, weeks: "even", number: 2, from_min: null, to_min: null, subject: "音乐" },
  { day: 1, weeks: "odd", number: 2, from_min: null, to_min: null, subject: "美术" },
  { day: 2, weeks: "all", number: 1, from_min: 480, to_min: 520, subject: "数学" },
  { day: 3, weeks: "all", number: 1, from_min: 490, to_min: 530, subject: "英语" },
  { day: 4, weeks: "all", number: 1, from_min: null, to_min: null, subject: "科学" },
];

describe("a time that somebody types", () => {
  it("is understood as it is said, and what is none is refused", () => {
    expect(["08:00", "8:05", "800", "1430", "8\uff1a05", " 7.45 ", "9", ""].map(timeOf)).toEqual(["08:00", "08:05", "08:00", "14:30", "08:05", "07:45", "09:00", ""]);
    expect(["24:00", "8:60", "8:5", "am", "12345", "-1"].map(timeOf)).toEqual([null, null, null, null, null, null]);
  });
});

describe("a timetable", () => {
  it("comes back from its table as it went in, a day's own times and the bells' included", () => {
    const rows = toRows(week);
    expect(toPeriods(rows)).toEqual(week);
    expect(rows[0]!.times).toEqual({ from_min: 480, to_min: 520 });
    expect([rows[0]!.cells[1]!.times, rows[0]!.cells[2]!.times?.from_min, rows[0]!.cells[3]!.times, rows[1]!.times]).toEqual([undefined, 490, null, null]);
  });
  it("drops empty fields and takes what is split or joined", () => {
    const rows = toRows(week);
    rows[1]!.cells[0]!.split = false;
    rows[1]!.cells[0]!.all = "体育 ";
    rows[0]!.cells[1]!.all = "  ";
    expect(toPeriods(rows).map((p) => `${p.day}.${p.number}${p.weeks}${p.subject}`)).toEqual(["1.1all语文", "1.2all体育", "3.1all英语", "4.1all科学"]);
  });
  it("grows by a row after the last, with times of its own or the bells'", () => {
    const rows = toRows(week.filter((p) => p.number === 1));
    expect(nextRow(rows, false)).toMatchObject({ number: 2, times: { from_min: 530, to_min: 570 } });
    expect(nextRow(toRows(week), false)).toMatchObject({ number: 3, times: null });
    expect([nextRow([], false).times, nextRow([], true).times]).toEqual([{ from_min: 480, to_min: 520 }, null]);
  });
  it("says which times cannot be", () => {
    const row = (number: number, from_min: number, to_min: number) => ({ number, times: { from_min, to_min }, cells: [] });
    expect(badRows([row(1, 480, 520), { number: 2, times: null, cells: [] }, row(3, 520, 560)])).toEqual([]);
    expect(badRows([row(1, 480, 520), row(2, 500, 540), row(3, 600, 600)])).toEqual([2, 3]);
  });
  it("shades the usual subjects apart", () => {
    expect(new Set(["语文", "数学", "英语", "科学", "音乐", "美术", "道德与法治", "体育与健康"].map(shade)).size).toBe(8);
  });
  it("counts days without a time zone", () => {
    expect([weekday("2026-11-23"), weekday("2026-11-29"), mondayOf("2026-11-29"), addDays("2026-12-31", 1)]).toEqual([1, 7, "2026-11-23", "2027-01-01"]);
    expect([clock(minutes("08:05")), minutes("24:00")]).toEqual(["08:05", 1440]);
    expect(daysOf("lastWeek", "2026-11-25")).toEqual({ from: "2026-11-16", to: "2026-11-22" });
    expect(daysOf("month", "2026-11-25")).toEqual({ from: "2026-11-01", to: "2026-11-25" });
  });
});

/** A week's timetable as a table that is edited, and days without a time zone. The console and the boards judge again. */

/** As the console has it; a period without times is held when the school's bells say. */
export interface Period {
  /** 1 Monday to 7 Sunday. */
  day: number;
  weeks?: "all" | "odd" | "even";
  number: number;
  /** Minutes of the day. */
  from_min?: number | null;
  to_min?: number | null;
  subject: string;
}
export type Times = { from_min: number; to_min: number } | null;
/** One field of the table: a subject in every week, or one in odd and one in even weeks. */
export interface Cell { all: string; odd: string; even: string; split: boolean; /** Its own, where it differs from the row's; left out: as the row. */ times?: Times }
export interface Row { number: number; /** None: as the bells say. */ times: Times; cells: Cell[] }

export const MAX_PERIODS = 20;
export const DAYS = [1, 2, 3, 4, 5, 6, 7] as const;

export const clock = (min: number): string => `${String(Math.floor(min / 60)).padStart(2, "0")}:${String(min % 60).padStart(2, "0")}`;
export const minutes = (text: string): number => {
  const [hour = 0, minute = 0] = text.split(":").map(Number);
  return hour * 60 + minute;
};
/** What somebody typed as a time of day, `08:00`; empty for nothing, `null` for what is none. */
export function timeOf(text: string): string | null {
  const typed = text.trim();
  if (typed === "") return "";
  const found = /^(\d{1,2})(?:\s*[:\uff1a.]\s*(\d{2})|(\d{2}))?$/.exec(typed);
  const min = found ? Number(found[1]) * 60 + Number(found[2] ?? found[3] ?? 0) : 1440;
  return min < 1440 && Number(found?.[2] ?? found?.[3] ?? 0) < 60 ? clock(min) : null;
}
const blank = (): Cell => ({ all: "", odd: "", even: "", split: false });
const timesOf = (p: Period): Times => (typeof p.from_min === "number" && typeof p.to_min === "number" ? { from_min: p.from_min, to_min: p.to_min } : null);
const same = (a: Times, b: Times): boolean => a?.from_min === b?.from_min && a?.to_min === b?.to_min;

/** The times that most of the periods have; a day that differs keeps its own in its cell. */
function usual(of: Period[]): Times {
  const votes = new Map<string, { times: Times; count: number }>();
  for (const p of of) {
    const times = timesOf(p);
    const key = times ? `${times.from_min}-${times.to_min}` : "";
    votes.set(key, { times, count: (votes.get(key)?.count ?? 0) + 1 });
  }
  return [...votes.values()].sort((a, b) => b.count - a.count)[0]?.times ?? null;
}

export function toRows(periods: Period[]): Row[] {
  const numbers = [...new Set(periods.map((p) => p.number))].sort((a, b) => a - b);
  return numbers.map((number) => {
    const mine = periods.filter((p) => p.number === number);
    const times = usual(mine);
    const cells = DAYS.map((day) => {
      const cell = blank();
      for (const p of mine.filter((one) => one.day === day)) {
        const weeks = p.weeks ?? "all";
        cell[weeks] = p.subject;
        if (weeks !== "all") cell.split = true;
        if (!same(timesOf(p), times)) cell.times = timesOf(p);
      }
      return cell;
    });
    return { number, times, cells };
  });
}

export function toPeriods(rows: Row[]): Period[] {
  const out: Period[] = [];
  for (const row of rows) {
    row.cells.forEach((cell, i) => {
      const times = cell.times === undefined ? row.times : cell.times;
      const at = { day: i + 1, number: row.number, from_min: times?.from_min ?? null, to_min: times?.to_min ?? null };
      for (const weeks of cell.split ? (["odd", "even"] as const) : (["all"] as const)) {
        const subject = cell[weeks].trim();
        if (subject) out.push({ ...at, weeks, subject });
      }
    });
  }
  return out.sort((a, b) => a.day - b.day || a.number - b.number || (a.weeks ?? "").localeCompare(b.weeks ?? ""));
}

/** The next row after the last: ten minutes later and as long, or as the bells say if the rows above do. */
export function nextRow(rows: Row[], bells: boolean): Row {
  const last = rows.at(-1);
  const number = (last?.number ?? 0) + 1;
  if (last ? !last.times : bells) return { number, times: null, cells: DAYS.map(blank) };
  const before = last?.times;
  const length = before ? before.to_min - before.from_min : 40;
  const from_min = before ? Math.min(before.to_min + 10, 1439 - length) : 480;
  return { number, times: { from_min, to_min: from_min + length }, cells: DAYS.map(blank) };
}

/** Numbers of rows whose times cannot be: over before they begin, or before a row above is over. */
export function badRows(rows: Row[]): number[] {
  let until = 0;
  const out: number[] = [];
  for (const { number, times } of rows) {
    if (!times) continue;
    if (times.from_min >= times.to_min || times.from_min < until) out.push(number);
    until = Math.max(until, times.to_min);
  }
  return out;
}

const DAY_MS = 86_400_000;
const day0 = (date: string): number => Date.parse(`${date}T00:00:00Z`);
/** Calendar days without a time zone: `2026-11-23`, counted on. */
export const addDays = (date: string, n: number): string => new Date(day0(date) + n * DAY_MS).toISOString().slice(0, 10);
/** 1 Monday to 7 Sunday. */
export const weekday = (date: string): number => ((new Date(day0(date)).getUTCDay() + 6) % 7) + 1;
export const mondayOf = (date: string): string => addDays(date, 1 - weekday(date));
/** Today by this browser's clock. */
export function today(now = new Date()): string {
  return `${now.getFullYear()}-${String(now.getMonth() + 1).padStart(2, "0")}-${String(now.getDate()).padStart(2, "0")}`;
}

/** A subject's own shade, the same everywhere: 0–7. The factors keep a primary school's eight subjects apart. */
export function shade(subject: string): number {
  let sum = 0;
  for (const c of subject) sum = (sum * 63 + (c.codePointAt(0) ?? 0)) % 997;
  return sum % 8;
}

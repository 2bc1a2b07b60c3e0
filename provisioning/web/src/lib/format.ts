/** Pure helpers that turn figures into what an operator reads. Words come from the catalogues, never from here. */

const UNITS = ["B", "KB", "MB", "GB", "TB"];

/** `1536` → `1.5 KB`; binary steps, three significant digits at most. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  let rest = Math.abs(value);
  let unit = 0;
  while (rest >= 1024 && unit < UNITS.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || rest >= 100 ? 0 : rest >= 10 ? 1 : 2;
  const shown = String(Number(rest.toFixed(digits)));
  return `${value < 0 ? "-" : ""}${shown} ${UNITS[unit]}`;
}

/** The round step of an axis in bytes that is at least `least`: 1, 2, 4, 5, 8, 10 … 512 of a unit; `0` for nothing. */
export function binaryStep(least: number): number {
  if (!(least > 0)) return 0;
  const unit = 1024 ** Math.min(UNITS.length - 1, Math.floor(Math.log(Math.max(1, least)) / Math.log(1024)));
  return unit * ([1, 2, 4, 5, 8, 10, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128, 160, 200, 256, 320, 400, 512].find((n) => n * unit >= least) ?? 1024);
}

/** `3543800` → `3,543,800`; what comes after the point stays as it is. */
export const grouped = (value: number): string => value.toLocaleString("en-US", { maximumFractionDigits: 6 });

/** `12.34` → `12 %`; one digit below ten. */
export function percent(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return `${Number(value.toFixed(value < 10 ? 1 : 0))}%`;
}

/** `48.25` → `48.3 °C`. */
export function celsius(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return `${value.toFixed(1)} °C`;
}

/** How much of a whole is done, 0–100, whole numbers; 100 only when it is really all. */
export function share(done: number, total: number): number {
  if (!(total > 0)) return 0;
  if (done >= total) return 100;
  return Math.min(99, Math.max(0, Math.floor((done / total) * 100)));
}

const pad = (n: number): string => String(n).padStart(2, "0");

/** Local date and time to the minute (or second), same shape in every language: `2026-11-22 16:05`. */
export function dateTime(value: string | number | null | undefined, seconds = false): string {
  if (value === null || value === undefined || value === "") return "–";
  const at = new Date(value);
  if (Number.isNaN(at.getTime())) return "–";
  const date = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  const time = `${pad(at.getHours())}:${pad(at.getMinutes())}`;
  return seconds ? `${date} ${time}:${pad(at.getSeconds())}` : `${date} ${time}`;
}

/** A version that counts up, or, where one is named by the second it was made in, that moment: `7`, `2026-11-23 19:38:15`. */
export const version = (n: number): string => (n > 1e9 ? dateTime(n * 1000, true) : String(n));

export type Span = { unit: "now" | "seconds" | "minutes" | "hours" | "days"; count: number };

/** A duration in its largest sensible unit; the sentence around it is the catalogue's. */
export function span(ms: number): Span {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 5) return { unit: "now", count: 0 };
  if (s < 60) return { unit: "seconds", count: s };
  if (s < 3600) return { unit: "minutes", count: Math.floor(s / 60) };
  if (s < 48 * 3600) return { unit: "hours", count: Math.floor(s / 3600) };
  return { unit: "days", count: Math.floor(s / 86_400) };
}

/** `83000` → `1:23`; with hours where there are any. */
export function playingTime(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "";
  const s = Math.round(ms / 1000);
  const h = Math.floor(s / 3600);
  const m = Math.floor((s % 3600) / 60);
  return h > 0 ? `${h}:${pad(m)}:${pad(s % 60)}` : `${m}:${pad(s % 60)}`;
}

/** One CSV cell, quoted where needed; a leading `= + - @` is defused so that no spreadsheet runs it. */
export function csvCell(value: unknown): string {
  let cell = value === null || value === undefined ? "" : String(value);
  if (/^[=+\-@\t\r]/.test(cell) && !/^-?\d+(\.\d+)?$/.test(cell)) cell = `'${cell}`;
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

/** A CSV file with a byte-order mark, so that a Chinese spreadsheet reads it as UTF-8. */
export function csv(rows: unknown[][]): string {
  return "\uFEFF" + rows.map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
}

/** From–to, the day named once where both are on it: `2026-11-22 09:00–11:00`. */
export function period(from: string, to: string): string {
  const [a, b] = [dateTime(from), dateTime(to)];
  return a.slice(0, 10) === b.slice(0, 10) ? `${a}–${b.slice(11)}` : `${a} – ${b}`;
}

/** Seconds as hours and minutes: `3725` → `1:02`, for tables of figures. */
export function hoursMinutes(seconds: number): string {
  const all = Math.round(seconds / 60);
  return `${Math.floor(all / 60)}:${pad(all % 60)}`;
}

/** `opened` of `all` in percent, one digit: `–` where there is nothing to divide. */
export function ratio(part: number, all: number): string {
  return all > 0 ? `${(Math.floor((part / all) * 1000) / 10).toFixed(1)}%` : "–";
}

/** How long something took or may still take, in the units that a person says. */

export interface Clock { key: "minutes" | "hours" | "days"; a: number; b: number }

/** `11700` s → 3 hours 15 minutes; from two days on, days and hours. */
export function clock(seconds: number): Clock {
  const minutes = Math.max(0, Math.round(seconds / 60));
  if (minutes < 60) return { key: "minutes", a: minutes, b: 0 };
  if (minutes < 48 * 60) return { key: "hours", a: Math.floor(minutes / 60), b: minutes % 60 };
  return { key: "days", a: Math.floor(minutes / 1440), b: Math.floor((minutes % 1440) / 60) };
}

/** How long something took or may still take, in the units that a person says. */

export interface Clock { key: "minutes" | "hours" | "wholeHours" | "days" | "wholeDays"; a: number; b: number }

/** `11700` s → 3 hours 15 minutes; from two days on, days and hours. What is whole is said without a nought. */
export function clock(seconds: number): Clock {
  const minutes = Math.max(0, Math.round(seconds / 60));
  if (minutes < 60) return { key: "minutes", a: minutes, b: 0 };
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  if (hours < 48) return { key: rest ? "hours" : "wholeHours", a: hours, b: rest };
  return { key: hours % 24 ? "days" : "wholeDays", a: Math.floor(hours / 24), b: hours % 24 };
}

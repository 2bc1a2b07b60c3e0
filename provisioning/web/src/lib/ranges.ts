/** Stretches of days for reports, as the schools' calendar counts them. */

import { addDays, mondayOf } from "./timetable";

export const SPANS = ["today", "week", "lastWeek", "month", "days30"] as const;
export type DaySpan = (typeof SPANS)[number];

export function daysOf(span: DaySpan, today: string): { from: string; to: string } {
  switch (span) {
    case "today":
      return { from: today, to: today };
    case "week":
      return { from: mondayOf(today), to: addDays(mondayOf(today), 6) };
    case "lastWeek":
      return { from: addDays(mondayOf(today), -7), to: addDays(mondayOf(today), -1) };
    case "month":
      return { from: `${today.slice(0, 8)}01`, to: today };
    case "days30":
      return { from: addDays(today, -29), to: today };
  }
}

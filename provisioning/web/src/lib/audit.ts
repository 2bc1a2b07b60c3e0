/** Where a record's object is shown, and how times are filtered. */

import type { AuditQuery, AuditRow } from "@/api/types";

/** The page of the object, if it has one of its own. */
export function objectPage(row: Pick<AuditRow, "object_kind" | "object">): string | null {
  if (!row.object) return null;
  switch (row.object_kind) {
    case "device":
      return `/devices/${encodeURIComponent(row.object)}`;
    case "lesson":
      return `/lessons/${encodeURIComponent(row.object)}`;
    case "push":
      return `/pushes/${encodeURIComponent(row.object)}`;
    case "exam":
      return `/exams/${encodeURIComponent(row.object)}`;
    case "fault":
      return `/faults?fault=${encodeURIComponent(row.object)}`;
    case "notice":
      return "/notices";
    case "user":
      return /^\d+$/.test(row.object) ? `/people/${row.object}` : `/people?q=${encodeURIComponent(row.object)}`;
    case "region":
    case "school":
      return /^\d+$/.test(row.object) ? `/schools?at=${row.object_kind}:${row.object}` : null;
    default:
      return null;
  }
}

/** The actions that leave a record, for the filter: those of the matrix that change something, and what is outside of it. */
export const WRITES = [
  "session.open", "session.close", "account.own", "users.write", "regions.write", "schools.write", "classrooms.write", "roster.import",
  "tickets.issue", "claims.decide", "clones.decide", "devices.enrol", "devices.renew", "devices.renewed", "devices.move", "devices.command", "devices.logs", "devices.standing", "devices.replace",
  "lessons.write", "lessons.self_check", "lessons.review_first", "lessons.review_second", "lessons.admit", "lessons.release", "lessons.withdraw",
  "backups.write", "backups.download", "restore.decide", "restore.withdrawals", "pushes.write", "packs.write", "packs.receipts", "lines.write", "lines.defaults", "authors.write", "timetables.write", "calendars.defaults", "technician_pin.write", "plans.write", "exams.write", "faults.write", "notices.write", "security.acknowledge",
  "bandwidth.follow", "bandwidth.test", "bandwidth.rules", "alerts.rules", "incidents.write", "maintenance.write", "notifications.write",
  "orders.open", "orders.work", "orders.photos", "orders.verdict", "orders.manage", "orders.figures", "walls.write", "order_slas.write", "parts.write", "reports.write", "reports.review", "areas.write", "assets.write", "assets.import", "inspections.write",
] as const;

export const RANGES = ["today", "7d", "30d", "all", "custom"] as const;
export type Range = (typeof RANGES)[number];

/** Beginning and end of a range of days, as the console wants them; a day that is named as the last counts whole. */
export function between(range: Range, now: number, from: Date | null, to: Date | null): Pick<AuditQuery, "from" | "to"> {
  const midnight = (at: number | Date): number => new Date(at).setHours(0, 0, 0, 0);
  const iso = (at: number): string => new Date(at).toISOString();
  if (range === "today") return { from: iso(midnight(now)) };
  if (range === "7d" || range === "30d") return { from: iso(now - (range === "7d" ? 7 : 30) * 86_400_000) };
  if (range === "all") return {};
  return {
    ...(from ? { from: iso(midnight(from)) } : {}),
    ...(to ? { to: iso(new Date(midnight(to)).setDate(new Date(to).getDate() + 1)) } : {}),
  };
}

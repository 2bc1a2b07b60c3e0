/** Times allowed for work orders, as they are edited. */

import type { OrderSlaRow } from "@/api/orders";

const ORDER = ["infrastructure", "application", "resource"];

/** By class, what cannot wait first: the order in which people read them. */
export function sorted(rows: readonly OrderSlaRow[]): OrderSlaRow[] {
  return [...rows].sort((a, b) => ORDER.indexOf(a.class) - ORDER.indexOf(b.class) || Number(b.urgent) - Number(a.urgent)).map((row) => ({ ...row, own: row.own ?? false, sla: { ...row.sla } }));
}

/** A repair that is allowed less than the response before it. */
export const tooShort = (row: OrderSlaRow): boolean => row.own === true && row.sla.repair_min < row.sla.respond_min;

/** Whether what a region would set differs from what it has. */
export function changed(now: readonly OrderSlaRow[], was: readonly OrderSlaRow[]): boolean {
  const own = (rows: readonly OrderSlaRow[]): string => JSON.stringify(sorted(rows).filter((row) => row.own).map((row) => [row.class, row.urgent, row.sla.clock, row.sla.respond_min, row.sla.repair_min]));
  return own(now) !== own(was);
}

/** Rates and months as people write them. */

/** kbit/s → Mbit/s with one digit where it is small: `199.4`, `40`, `3.8`. */
export function mbps(kbps: number | null | undefined): string {
  if (kbps === null || kbps === undefined) return "–";
  return String(Number((kbps / 1000).toFixed(kbps < 1_000_000 ? 1 : 0)));
}

/** `2026-11-23` → `2026-11`. */
export const monthOf = (date: string): string => date.slice(0, 7);

/** What a rule demands: rates in Mbit/s where the plan names any, and the share of schools with a line. */
export function demand(rule: { down_mbps?: number | null; up_mbps?: number | null; access_percent?: number | null }): { rate: { down: string; up: string } | null; access: number | null } {
  const down = rule.down_mbps ?? null;
  const up = rule.up_mbps ?? null;
  return { rate: down === null && up === null ? null : { down: down === null ? "–" : String(down), up: up === null ? "–" : String(up) }, access: rule.access_percent ?? null };
}

/** Rates and months as people write them. */

/** kbit/s → Mbit/s with one digit where it is small: `199.4`, `40`, `3.8`. */
export function mbps(kbps: number | null | undefined): string {
  if (kbps === null || kbps === undefined) return "–";
  return String(Number((kbps / 1000).toFixed(kbps < 1_000_000 ? 1 : 0)));
}

/** `2026-11-23` → `2026-11`. */
export const monthOf = (date: string): string => date.slice(0, 7);

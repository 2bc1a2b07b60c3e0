/** In which unit a reading is told: its name says it (`temperature_celsius`). Words for units are the catalogue's. */

import { bytes, grouped } from "@/lib/format";

const UNITS = { _percent: "percent", _celsius: "celsius", _bytes: "bytes", _ms: "ms", _mbps: "mbps", _s: "s" } as const;
export type MetricUnit = (typeof UNITS)[keyof typeof UNITS];

/** `null` for what is merely counted. */
export function unitOf(metric: string): MetricUnit | null {
  const ending = (Object.keys(UNITS) as (keyof typeof UNITS)[]).find((one) => metric.endsWith(one));
  return ending ? UNITS[ending] : null;
}

/** A level with its unit, never rounded: `85 °C`, `1.5 GB`; `say` puts the words of a unit around the number. */
export function amount(metric: string, value: number, say: (unit: Exclude<MetricUnit, "bytes">, n: string) => string): string {
  const unit = unitOf(metric);
  if (unit === null) return grouped(value);
  return unit === "bytes" ? bytes(value) : say(unit, grouped(value));
}

/** When a reading deserves red. The alerts of a later issue take this over as data. */

import type { DeviceSummary } from "@/api/types";

const HOT_CELSIUS = 75;
const FULL_SHARE = 0.1;

export const isHot = (d: DeviceSummary): boolean => (d.temperature_celsius ?? 0) >= HOT_CELSIUS;

export const isFull = (d: DeviceSummary): boolean =>
  Boolean(d.disk_total_bytes) && d.disk_free_bytes !== null && d.disk_free_bytes !== undefined && d.disk_free_bytes / (d.disk_total_bytes ?? 1) < FULL_SHARE;

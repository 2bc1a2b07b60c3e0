/** How devices are, over time and all together, and what happened on each. */

import type { Place } from "./incidents";
import { call } from "./raw";
import type { components } from "./schema";

type Schemas = components["schemas"];

export type SeriesSet = Schemas["SeriesSet"];
export type Series = Schemas["Series"];
export type DeviceEvent = Schemas["DeviceEventRow"];
export type FleetCounts = Schemas["FleetCounts"];
export const EVENT_KINDS = ["booted", "link", "usb", "app", "tamper", "player_error", "clock_step", "storage", "bandwidth", "other"] as const;

export const fleet = {
  counts: (place: Place = {}) => call<FleetCounts>("get", "/fleet", { query: place }),
  series: (id: string, metrics: string[], from: string, to: string) => call<SeriesSet>("get", `/devices/${encodeURIComponent(id)}/series`, { query: { metrics: metrics.join(","), from, to } }),
  events: (id: string, query: { from?: string; to?: string; kind?: string; limit?: number }) => call<Schemas["DeviceEventList"]>("get", `/devices/${encodeURIComponent(id)}/events`, { query }).then((found) => found.items),
};

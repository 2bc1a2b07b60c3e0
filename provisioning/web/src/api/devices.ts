/** Devices as a list, as many at once, and everything that happened to one. */

import type { DeviceFilterQuery } from "@/lib/devices";
import { call, fileUrl } from "./raw";
import type { components } from "./schema";

type Schemas = components["schemas"];
export type BulkOrder = Schemas["BulkOrder"];
export type BulkCommand = Omit<Schemas["BulkCommand"], "filter"> & { filter?: DeviceFilterQuery };
export type BulkDevice = Schemas["BulkDevice"];
export type BulkAnswer = Schemas["BulkAnswer"];
export type TimelineKind = Schemas["TimelineKind"];
export const TIMELINE_KINDS = ["event", "command", "state", "alert", "incident", "order", "push", "identity", "audit"] as const satisfies readonly TimelineKind[];
export type TimelineEntry = Omit<Schemas["TimelineEntry"], "detail"> & { detail: Record<string, unknown> };
export type Timeline = Omit<Schemas["Timeline"], "items"> & { items: TimelineEntry[] };

export const fleetList = {
  list: (query: DeviceFilterQuery & { sort?: string; page: number; page_size: number }) => call<Schemas["DevicePage"]>("get", "/devices", { query }),
  csvUrl: (query: DeviceFilterQuery & { sort?: string }) => fileUrl("/devices/export.csv", query),
  choices: () => call<Schemas["DeviceChoices"]>("get", "/devices/choices"),
  bulk: (body: BulkCommand) => call<BulkAnswer>("post", "/devices/bulk", { body }),
  timeline: (id: string, query: { kinds?: string; before?: string; limit?: number }) => call<Timeline>("get", `/devices/${encodeURIComponent(id)}/timeline`, { query }),
};

/** Devices as a list, as many at once, and everything that happened to one. */

import type { DeviceFilterQuery, State } from "@/lib/devices";
import { call, fileUrl } from "./raw";
import type { DeviceSummary } from "./types";

export interface DeviceChoice { value: string; count: number }
export interface DeviceChoices { boards: DeviceChoice[]; agent_versions: DeviceChoice[] }
export interface DevicePage { items: DeviceSummary[]; total: number; page: number; page_size: number }

export type BulkOrder =
  | { kind: "reboot"; delay_s: number }
  | { kind: "notice"; level: "standard" | "urgent"; title: string; text: string; show_for_s: number }
  | { kind: "test_bandwidth"; forced: boolean };
export interface BulkCommand { ids?: string[]; filter?: DeviceFilterQuery; order: BulkOrder; ttl_s?: number; dry_run: boolean; expected?: number }
export interface BulkDevice { device_id: string; school: string; classroom: string; state: State; result: "ready" | "queued" | "skipped"; command_id?: string | null; reason?: string | null }
export interface BulkAnswer { dry_run: boolean; devices: number; online: number; classrooms: number; schools: number; skipped: number; items: BulkDevice[] }

export const TIMELINE_KINDS = ["event", "command", "state", "alert", "incident", "order", "push", "identity", "audit"] as const;
export type TimelineKind = (typeof TIMELINE_KINDS)[number];
export interface TimelineEntry { at: string; kind: TimelineKind; what: string; reference?: string | null; by?: string | null; detail: Record<string, unknown> }
export interface Timeline { items: TimelineEntry[]; next?: string | null; left_out: TimelineKind[] }

export const fleetList = {
  list: (query: DeviceFilterQuery & { sort?: string; page: number; page_size: number }) => call<DevicePage>("get", "/devices", { query }),
  csvUrl: (query: DeviceFilterQuery & { sort?: string }) => fileUrl("/devices/export.csv", query),
  choices: () => call<DeviceChoices>("get", "/devices/choices"),
  bulk: (body: BulkCommand) => call<BulkAnswer>("post", "/devices/bulk", { body }),
  timeline: (id: string, query: { kinds?: string; before?: string; limit?: number }) => call<Timeline>("get", `/devices/${encodeURIComponent(id)}/timeline`, { query }),
};

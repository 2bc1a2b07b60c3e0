/** The list of devices: its columns, its filters, and what it asks the console for. */

import type { ListColumn } from "./lists";
import { parseKey } from "./tree";

export const STATES = ["online", "offline", "off", "unknown"] as const;
export type State = (typeof STATES)[number];
export const STANDINGS = ["active", "stolen", "revoked"] as const;
export const LESSONS = ["ready", "arriving", "failed", "none"] as const;
/** Not heard for so many days. */
export const SILENT_DAYS = ["1", "3", "7", "30"] as const;

export const COLUMNS: readonly ListColumn[] = [
  { key: "state", label: "device.state", sort: "state", width: 132, always: true },
  { key: "place", label: "device.place", sort: "place", min: 190, always: true },
  { key: "region", label: "devices.region", sort: "region", width: 120, extra: true },
  { key: "lessons", label: "device.lessons", sort: "lessons_arriving", down: true, width: 150 },
  { key: "cpu", label: "reading.cpu", sort: "cpu_percent", down: true, width: 92, align: "right", roomy: true },
  { key: "memory", label: "reading.memory", sort: "memory_percent", down: true, width: 84, align: "right", roomy: true },
  { key: "temperature", label: "reading.temperature", sort: "temperature_celsius", down: true, width: 92, align: "right" },
  { key: "disk", label: "reading.diskFree", sort: "disk_free_bytes", width: 104, align: "right" },
  { key: "serial", label: "device.serial", sort: "serial", min: 140, roomy: true },
  { key: "board", label: "device.board", sort: "board", width: 140, extra: true },
  { key: "agent", label: "device.agent", sort: "agent_version", width: 104, roomy: true },
  { key: "standing", label: "devices.standing", sort: "standing", width: 100, extra: true },
  { key: "since", label: "devices.since", sort: "state_since", down: true, width: 120, extra: true },
  { key: "enrolled", label: "device.enrolled", sort: "enrolled_at", down: true, width: 150, extra: true },
  { key: "seen", label: "device.lastSeen", sort: "last_seen_at", down: true, width: 118 },
];

export const FILTERS = { q: "", state: "", place: "", lessons: "", standing: "", board: "", agent: "", hot: "", full: "", silent: "", why: "" };
export type DeviceFilters = typeof FILTERS;
/** Those that stand behind "more". */
export const MORE = ["standing", "board", "agent", "hot", "full", "silent", "why"] as const satisfies readonly (keyof DeviceFilters)[];

/** What the console calls the filters; a list, its export and a bulk action mean the same devices. */
export interface DeviceFilterQuery {
  region_id?: number;
  school_id?: number;
  classroom_id?: number;
  state?: string;
  why?: string;
  standing?: string;
  board?: string;
  agent_version?: string;
  lessons?: string;
  temperature_from?: number;
  disk_free_below_percent?: number;
  silent_since?: string;
  q?: string;
}

const number = (text: string): number | undefined => (text !== "" && Number.isFinite(Number(text)) ? Number(text) : undefined);

/** The page's filters as the console's; `now` in milliseconds is what "silent for days" counts from, to the hour. */
export function asked(filter: DeviceFilters, now: number): DeviceFilterQuery {
  const place = parseKey(filter.place);
  const days = number(filter.silent);
  return {
    ...(place ? { [`${place.kind}_id`]: place.id } : {}),
    state: filter.state || undefined,
    why: filter.why || undefined,
    standing: filter.standing || undefined,
    board: filter.board || undefined,
    agent_version: filter.agent || undefined,
    lessons: filter.lessons || undefined,
    temperature_from: number(filter.hot),
    disk_free_below_percent: number(filter.full),
    silent_since: days ? new Date(Math.floor(now / 3_600_000) * 3_600_000 - days * 86_400_000).toISOString() : undefined,
    q: filter.q.trim() || undefined,
  };
}

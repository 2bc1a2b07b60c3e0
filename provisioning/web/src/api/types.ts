/** Shapes of the console's API, as the pages use them. */

export type Id = number | string;

export interface Problem {
  status: number;
  code: string;
  title?: string;
  message: string;
  detail: string;
  request_id: string;
}

export interface Session {
  username: string;
  display_name: string;
  language: string;
}

export type RegionKind = "province" | "city" | "county" | "township";
export type SchoolKind = "school" | "teaching_point";
export type DeviceState = "online" | "offline" | "unknown";
/** `waiting`: the device has not taken the plan over yet. */
export type LessonState = "waiting" | "queued" | "fetching" | "ready" | "failed";
export type CommandStateName =
  "queued" | "sent" | "accepted" | "executing" | "succeeded" | "failed" | "expired" | "rejected";
export type ItemKind = "video" | "audio" | "image" | "pdf" | "html5" | "office" | "other";
export type TargetKind = "region" | "school" | "classroom" | "device";

export interface TreeSchool {
  id: number;
  name: string;
  kind: string;
  code: string;
  classrooms: number;
  devices: number;
  online: number;
}

export interface TreeRegion {
  id: number;
  parent_id?: number | null;
  kind: string;
  name: string;
  schools: TreeSchool[];
}

export interface Overview {
  devices_total: number;
  online: number;
  offline: number;
  unknown: number;
  lessons: number;
  pushes_active: number;
  lessons_arriving: number;
  failed: number;
  samples_last_hour: number;
}

export interface DeviceSummary {
  id: string;
  serial: string;
  board: string;
  agent_version: string;
  region: string;
  school: string;
  school_id: number;
  classroom: string;
  classroom_id: number;
  state: DeviceState;
  last_seen_at?: string | null;
  enrolled_at: string;
  lessons_ready: number;
  lessons_failed: number;
  lessons_assigned: number;
  wanted_generation: number;
  held_generation: number;
  disk_total_bytes?: number | null;
  disk_free_bytes?: number | null;
  cpu_percent?: number | null;
  memory_percent?: number | null;
  temperature_celsius?: number | null;
  player_urls: string[];
}

export interface DeviceLesson {
  lesson_id: string;
  title: string;
  version: number;
  /** False: still held, no longer wanted. */
  assigned: boolean;
  state: LessonState;
  done_bytes: number;
  total_bytes: number;
  reason?: string | null;
  detail?: string | null;
  retrying?: boolean | null;
}

export interface DeviceBoot {
  boot_id: string;
  first_seen_at: string;
  samples: number;
  contiguous_seq: number;
  forgotten_up_to: number;
}

export interface Readings {
  cpu_percent?: number | null;
  load_1m?: number | null;
  memory_total_bytes?: number | null;
  memory_available_bytes?: number | null;
  memory_pressure_percent?: number | null;
  io_pressure_percent?: number | null;
  disk_total_bytes?: number | null;
  disk_free_bytes?: number | null;
  disk_free_inodes?: number | null;
  emmc_wear_percent?: number | null;
  temperature_celsius?: number | null;
  network_rx_bytes?: number | null;
  network_tx_bytes?: number | null;
  link_mbps?: number | null;
  agent_rss_bytes?: number | null;
  lessons_ready?: number | null;
  lessons_assigned?: number | null;
  fetched_bytes?: number | null;
}

export interface DeviceDetail extends DeviceSummary {
  lessons: DeviceLesson[];
  boots: DeviceBoot[];
  boot_id?: string | null;
  /** Samples that the device had to drop unsent. */
  samples_dropped: number;
  /** Messages in another device's name. */
  misuse: number;
  latest_at?: string | null;
  latest?: Readings | null;
}

export interface HealthPoint {
  at: string;
  boot_id: string;
  seq: number;
  readings: Readings;
}

export interface Health {
  points: HealthPoint[];
  total: number;
  downsampled: boolean;
}

export type CommandBody =
  | { kind: "reboot"; delay_s: number }
  | { kind: "notice"; level: "standard" | "urgent"; title: string; text: string; show_for_s: number };

export interface Command {
  id: string;
  body: CommandBody;
  state: CommandStateName;
  reason?: string | null;
  issued_at: string;
  expires_at: string;
  updated_at: string;
  issued_by: string;
  history: { state: CommandStateName; at: string; reason?: string | null }[];
}

export interface SchoolDetail {
  id: number;
  region_id: number;
  code: string;
  name: string;
  kind: string;
  classrooms: {
    id: number;
    code: string;
    name: string;
    grade: string;
    devices: DeviceSummary[];
  }[];
}

export interface Ticket {
  console_url: string;
  code: string;
  ca_pem: string;
  expires_at: string;
}

export interface TicketRow {
  id: Id;
  classroom_id: number;
  classroom: string;
  school: string;
  state: "open" | "used" | "expired" | "revoked";
  console_url: string;
  created_at: string;
  expires_at: string;
  used_at?: string | null;
  device_id?: string | null;
}

export interface LessonMeta {
  title: string;
  stage: string;
  subject: string;
  edition: string;
  grade: string;
  volume: string;
  chapter: string;
  period: string;
}

export interface LessonSummary {
  id: string;
  version: number;
  meta: LessonMeta;
  item_count: number;
  item_kinds: ItemKind[];
  size_bytes: number;
  created_at: string;
  retired_at?: string | null;
}

export interface LessonItem {
  kind: ItemKind;
  title: string;
  entry: string;
  subtitles?: { lang: string; label: string; path: string }[];
  duration_ms?: number | null;
}

export interface LessonFile {
  path: string;
  media_type: string;
  size_bytes: number;
  hash: string;
}

export interface LessonDetail extends LessonSummary {
  versions: { version: number; created_at: string; size_bytes: number }[];
  items: LessonItem[];
  files: LessonFile[];
}

export interface PushTotals {
  devices: number;
  ready: number;
  fetching: number;
  queued: number;
  failed: number;
  waiting: number;
}

export interface Push {
  id: Id;
  lessons: { id: string; title: string; version: number; retired: boolean }[];
  target: { kind: TargetKind; id: Id };
  target_name: string;
  pinned: boolean;
  needed_by?: string | null;
  created_at: string;
  created_by?: string | null;
  withdrawn_at?: string | null;
  totals: PushTotals;
  bytes_done: number;
  bytes_total: number;
}

export interface PushDevice {
  device: DeviceSummary;
  state: LessonState;
  done_bytes: number;
  total_bytes: number;
  lessons_ready: number;
  lessons_total: number;
  reason?: string | null;
  detail?: string | null;
}

export interface SystemInfo {
  version: string;
  uptime_s: number;
  broker: { up: boolean; reason?: string | null; connections?: number | null };
  database_bytes: number;
  objects_bytes: number;
  disk_free_bytes: number;
  ingest: Record<string, number>;
  rejects: { at: string; topic: string; reason: string; device?: string | null }[];
}

export interface Uploaded {
  id: string;
  version: number;
  /** False: the same content as before, so no new version. */
  changed: boolean;
}

export interface Page<T> {
  items: T[];
  total: number;
  page: number;
  page_size: number;
}

// temporary, until the document is regenerated
import type { FaultClass } from "@/api/records";
export type IncidentKind = "area" | "school" | "device";
export type Cause = "power" | "line" | "device" | "power_or_line" | "unknown";
export interface Evidence {
  lost: number;
  were_online: number;
  rebooted: number;
  power_loss: number;
  same_boot: number;
  failed: number;
  away: number;
}
export interface Incident {
  id: number;
  parent_id?: number | null;
  kind: IncidentKind;
  topic: string;
  title: string;
  region_id?: number | null;
  school_id?: number | null;
  place: string;
  severity: Severity;
  cause: Cause;
  evidence: Evidence;
  began_at: string;
  last_at: string;
  cleared_at?: string | null;
  resolved_at?: string | null;
  resolved_by?: string | null;
  acknowledged_at?: string | null;
  acknowledged_by?: string | null;
  snoozed_until?: string | null;
  quiet: boolean;
  devices: number;
  devices_open: number;
  schools: number;
  tier?: number | null;
  next_tier_at?: string | null;
}
export interface IncidentDetail {
  incident: Incident;
  parts: Incident[];
  history: IncidentEvent[];
  told: IncidentTold[];
}
export interface IncidentEvent {
  at: string;
  by?: string | null;
  what: string;
  note: string;
}
export interface IncidentTold {
  user?: string | null;
  channel: string;
  reason: string;
  state: string;
  sent_at?: string | null;
  error?: string | null;
}
export interface IncidentDevice {
  incident_id: number;
  device_id: string;
  school_id: number;
  school: string;
  classroom: string;
  lost_at: string;
  back_at?: string | null;
  cause: Cause;
  boot_reason?: string | null;
  damage: string[];
  to_see: boolean;
}
export interface IncidentQuery {
  open?: boolean | null;
  parts?: boolean | null;
  severity?: Severity | null;
  cause?: Cause | null;
  region_id?: number | null;
  school_id?: number | null;
  device_id?: string | null;
  from?: string | null;
  to?: string | null;
  page?: number | null;
  page_size?: number | null;
}
export interface IncidentDeviceQuery {
  to_see?: boolean | null;
  page?: number | null;
  page_size?: number | null;
}
export interface IncidentNote {
  note?: string;
}
export interface IncidentSnooze {
  until: string;
  note?: string;
}
export interface IncidentPage {
  items: Incident[];
  total: number;
  page: number;
  page_size: number;
}
export interface IncidentDevicePage {
  items: IncidentDevice[];
  total: number;
  page: number;
  page_size: number;
}
export type Severity = "notice" | "warning" | "critical";
export type Schedule = "always" | "class_hours" | "off_hours";
export type Condition = { kind: "metric"; metric: string; side: Side; raise: number; clear: number } | { kind: "offline" } | { kind: "school_lost"; percent: number; boards: number } | { kind: "event"; event: string; field: EventField | null; count: number; within_s: number };
export interface EventField {
  name: string;
  value: string;
}
export type Side = "above" | "below";
export interface RuleBody {
  name?: string;
  condition: Condition;
  for_s: number;
  schedule?: Schedule;
  severity: Severity;
  depends_on?: string | null;
  enabled?: boolean;
}
export type RuleSource = "built_in" | "install" | "region" | "school";
export interface AlertRule {
  key: string;
  title: string;
  rule: RuleBody;
  source: RuleSource;
  id?: number | null;
  region_id?: number | null;
  school_id?: number | null;
  updated_at?: string | null;
  updated_by?: string | null;
}
export interface AlertRules {
  items: AlertRule[];
}
export interface PlaceQuery {
  region_id?: number | null;
  school_id?: number | null;
}
export interface NewRule {
  region_id?: number | null;
  school_id?: number | null;
  rule: RuleBody;
}
export interface RuleTest {
  from: string;
  to: string;
  raised: number;
  subjects: number;
  devices_looked_at: number;
  devices: number;
  examples: RuleTestHit[];
}
export interface RuleTestHit {
  device_id?: string | null;
  school: string;
  at: string;
  until?: string | null;
}
export interface AlertMetrics {
  metrics: AlertMetric[];
  events: string[];
}
export interface AlertMetric {
  name: string;
  derived: boolean;
}
export interface Alert {
  id: number;
  rule: string;
  title: string;
  severity: Severity;
  school_id: number;
  school: string;
  device_id?: string | null;
  classroom?: string | null;
  incident_id?: number | null;
  began_at: string;
  raised_at: string;
  cleared_at?: string | null;
  value?: number | null;
  suppressed_by?: string | null;
}
export interface AlertQuery {
  open?: boolean | null;
  rule?: string | null;
  severity?: Severity | null;
  region_id?: number | null;
  school_id?: number | null;
  device_id?: string | null;
  incident_id?: number | null;
  page?: number | null;
  page_size?: number | null;
}
export interface MaintenanceWindow {
  id: number;
  region_id?: number | null;
  school_id?: number | null;
  place: string;
  from: string;
  to: string;
  reason: string;
  active: boolean;
  created_at: string;
  created_by: string;
  cancelled_at?: string | null;
  cancelled_by?: string | null;
}
export interface NewMaintenance {
  region_id?: number | null;
  school_id?: number | null;
  from: string;
  to: string;
  reason: string;
}
export interface MaintenanceQuery {
  open?: boolean | null;
  page?: number | null;
  page_size?: number | null;
}
export interface AlertPage {
  items: Alert[];
  total: number;
  page: number;
  page_size: number;
}
export interface MaintenancePage {
  items: MaintenanceWindow[];
  total: number;
  page: number;
  page_size: number;
}
export type ChannelKind = "webhook" | "smtp" | "wecom" | "dingtalk";
export type SmtpSecurity = "tls" | "starttls" | "none";
export interface NewChannel {
  region_id?: number | null;
  school_id?: number | null;
  kind: ChannelKind;
  name: string;
  url?: string | null;
  sign_secret?: string | null;
  smtp_host?: string | null;
  smtp_port?: number | null;
  smtp_security?: SmtpSecurity | null;
  smtp_user?: string | null;
  smtp_password?: string | null;
  smtp_from?: string | null;
  tells?: Severity | null;
  enabled?: boolean;
}
export interface Channel {
  id: number;
  region_id?: number | null;
  school_id?: number | null;
  place: string;
  kind: ChannelKind;
  name: string;
  target: string;
  smtp_user?: string | null;
  smtp_security?: SmtpSecurity | null;
  smtp_from?: string | null;
  has_secret: boolean;
  tells?: Severity | null;
  enabled: boolean;
  waiting: number;
  last_sent_at?: string | null;
  last_error?: string | null;
  updated_at: string;
  updated_by: string;
}
export interface Channels {
  items: Channel[];
}
export interface ChannelTest {
  address?: string | null;
}
export interface ChannelTested {
  delivered: boolean;
  error?: string | null;
  took_ms: number;
}
export interface Recipient {
  id: number;
  username: string;
  display_name: string;
  channel_id: number;
  channel: string;
  address: string;
  severity: Severity;
  cap_per_hour: number;
  quiet_from: number;
  quiet_to: number;
  tell_cleared: boolean;
}
export interface Recipients {
  items: Recipient[];
}
export interface NewRecipient {
  username: string;
  channel_id: number;
  address?: string;
  severity?: Severity | null;
  cap_per_hour?: number | null;
  quiet_from?: number | null;
  quiet_to?: number | null;
  tell_cleared?: boolean | null;
}
export interface Escalation {
  region_id?: number | null;
  critical_minutes: number;
  warning_minutes: number;
}
export interface Escalations {
  items: Escalation[];
  default: Escalation;
}
export interface Notification {
  id: number;
  channel_id: number;
  channel: string;
  user?: string | null;
  incident_id?: number | null;
  reason: string;
  severity: Severity;
  title: string;
  text: string;
  created_at: string;
  state: string;
  due_at?: string | null;
  tries: number;
  took_ms?: number | null;
  error?: string | null;
  sent_at?: string | null;
}
export interface NotificationQuery {
  state?: string | null;
  channel_id?: number | null;
  incident_id?: number | null;
  page?: number | null;
  page_size?: number | null;
}
export interface NotificationPage {
  items: Notification[];
  total: number;
  page: number;
  page_size: number;
}
export type OrderKind = "repair" | "rectification";
export type OrderSource = "incident" | "fault" | "qr" | "hand" | "inspection";
export type OrderClass = "infrastructure" | "application" | "resource";
export type OrderState = "new" | "accepted" | "on_site" | "repaired" | "confirmed" | "closed" | "reopened" | "cancelled";
export type OrderAct = "opened" | "assigned" | "accepted" | "on_site" | "repaired" | "confirmed" | "reopened" | "closed" | "cancelled" | "noted" | "photo" | "parts" | "climbed" | "again";
export type OrderBy = "user" | "board" | "qr" | "console";
export interface Order {
  id: number;
  kind: OrderKind;
  source: OrderSource;
  fault_id?: string | null;
  incident_id?: number | null;
  school_id: number;
  school: string;
  classroom_id?: number | null;
  classroom?: string | null;
  device_id?: string | null;
  asset_id?: number | null;
  class: OrderClass;
  fault_class?: FaultClass | null;
  symptom: string;
  title: string;
  urgent: boolean;
  owner: string;
  builder: string;
  maintainer: string;
  area_id?: number | null;
  area?: string | null;
  assigned_to?: number | null;
  assigned_name?: string | null;
  state: OrderState;
  since: string;
  opened_at: string;
  respond_due?: string | null;
  repair_due?: string | null;
  overdue: boolean;
  tier: number;
  round: number;
  photos: number;
}
export interface OrderClocks {
  response_wall_s: number;
  response_class_s: number;
  responded: boolean;
  repair_wall_s: number;
  repair_class_s: number;
  repaired: boolean;
  allowed: OrderSla;
  response_kept?: boolean | null;
  repair_kept?: boolean | null;
}
export type OrderClock = "class" | "wall";
export interface OrderSla {
  clock: OrderClock;
  respond_min: number;
  repair_min: number;
}
export interface OrderDetail {
  order: Order;
  text: string;
  due_on?: string | null;
  clocks: OrderClocks;
  events: OrderEvent[];
  photos: OrderPhoto[];
  parts: PartUse[];
  next: OrderAct[];
}
export interface OrderEvent {
  act: OrderAct;
  state: OrderState;
  at: string;
  by_kind: OrderBy;
  by: string;
  note: string;
}
export type PhotoShows = "fault" | "repair" | "evidence";
export interface OrderPhoto {
  id: number;
  hash: string;
  shows: PhotoShows;
  width: number;
  height: number;
  size_bytes: number;
  added_at: string;
  added_by: string;
}
export interface OrderQuery {
  open?: boolean | null;
  state?: OrderState | null;
  kind?: OrderKind | null;
  class?: OrderClass | null;
  source?: OrderSource | null;
  overdue?: boolean | null;
  mine?: boolean;
  from?: string | null;
  to?: string | null;
  region_id?: number | null;
  school_id?: number | null;
  classroom_id?: number | null;
  device_id?: string | null;
  area_id?: number | null;
  page?: number | null;
  page_size?: number | null;
}
export interface NewOrder {
  school_id?: number | null;
  classroom_id?: number | null;
  device_id?: string | null;
  asset_id?: number | null;
  incident_id?: number | null;
  fault_class?: FaultClass | null;
  class?: OrderClass | null;
  title: string;
  text?: string;
  urgent?: boolean;
}
export interface NewRectification {
  school_id: number;
  device_id?: string | null;
  title: string;
  text?: string;
  due_on: string;
}
export type WorkStep = "accept" | "on_site" | "repaired" | "note";
export interface OrderWork {
  step: WorkStep;
  note?: string;
}
export type VerdictStep = "confirm" | "reopen" | "close";
export interface OrderVerdict {
  step: VerdictStep;
  note?: string;
}
export interface OrderChange {
  assign_to?: number | null;
  urgent?: boolean | null;
  class?: OrderClass | null;
  cancel?: boolean;
  note?: string;
}
export interface PhotoForm {
  file: string;
}
export interface PhotoQuery {
  shows?: PhotoShows;
}
export interface Part {
  id: number;
  region_id: number;
  code: string;
  name: string;
  unit: string;
  stock: number;
  low_at: number;
  low: boolean;
}
export interface NewPart {
  region_id: number;
  code: string;
  name: string;
  unit?: string | null;
  low_at?: number;
  stock?: number;
}
export interface PartMove {
  change: number;
  note: string;
}
export interface NewPartUse {
  part_id: number;
  count: number;
}
export interface PartUse {
  part_id: number;
  code: string;
  name: string;
  unit: string;
  count: number;
}
export interface PartQuery {
  region_id?: number | null;
  low?: boolean;
}
export interface OrderSlas {
  region_id: number;
  rows: OrderSlaRow[];
}
export interface OrderSlaRow {
  class: OrderClass;
  urgent: boolean;
  sla: OrderSla;
  own?: boolean;
}
export interface OrderSpan {
  from: string;
  to: string;
  region_id?: number | null;
  area_id?: number | null;
}
export interface TechnicianFigures {
  user_id: number;
  username: string;
  schools: number;
  devices: number;
  accepted: number;
  visits: number;
  repairs: number;
  confirmed: number;
  reopened: number;
  in_time: number;
  mean_repair_class_s?: number | null;
  parts: number;
  inspections: number;
}
export interface OrderCounts {
  open: Record<string, number>;
  overdue: number;
  today: number;
}
export interface WallCode {
  classroom_id: number;
  classroom: string;
  code?: string | null;
  url?: string | null;
}
export interface OrderPage {
  items: Order[];
  total: number;
  page: number;
  page_size: number;
}
export type AssetKind = "terminal" | "panel" | "projector" | "whiteboard" | "display" | "computer" | "sound" | "network" | "other";
export interface Asset {
  id: number;
  school_id: number;
  school: string;
  classroom_id?: number | null;
  classroom?: string | null;
  device_id?: string | null;
  kind: AssetKind;
  tag: string;
  brand: string;
  model: string;
  serial: string;
  interactive: boolean;
  owner: string;
  builder: string;
  maintainer: string;
  bought_on?: string | null;
  warranty_until?: string | null;
  note: string;
  retired_at?: string | null;
  updated_at: string;
  updated_by: string;
  age_years?: number | null;
  health: number;
  reasons: AssetReason[];
}
export interface AssetReason {
  code: string;
  points: number;
  value: number;
}
export type AssetSort = "place" | "health";
export interface AssetQuery {
  region_id?: number | null;
  school_id?: number | null;
  classroom_id?: number | null;
  kind?: AssetKind | null;
  managed?: boolean | null;
  incomplete?: boolean;
  retired?: boolean;
  search?: string | null;
  sort?: AssetSort;
  page?: number | null;
  page_size?: number | null;
}
export interface NewAsset {
  school_id: number;
  classroom_id?: number | null;
  kind: AssetKind;
  tag?: string | null; brand?: string | null; model?: string | null; serial?: string | null; interactive?: boolean | null; owner?: string | null; builder?: string | null; maintainer?: string | null; bought_on?: string | null; warranty_until?: string | null; note?: string | null;
}
export interface AssetChange {
  tag?: string | null;
  brand?: string | null;
  model?: string | null;
  serial?: string | null;
  interactive?: boolean | null;
  owner?: string | null;
  builder?: string | null;
  maintainer?: string | null;
  bought_on?: string | null;
  warranty_until?: string | null;
  note?: string | null;
  retired?: boolean | null;
}
export interface AssetImportQuery {
  apply?: boolean;
  encoding?: string | null;
}
export interface AssetReport {
  applied: boolean;
  rows: number;
  added: number;
  changed: number;
  same: number;
  errors: import("./schema").components["schemas"]["RosterError"][];
  error_count: number;
}
export interface EquipmentRow {
  school_id: number;
  school: string;
  kind: string;
  classrooms: number;
  equipped: number;
  interactive: number;
  missing: string[];
}
export interface Equipment {
  classrooms: number;
  equipped: number;
  interactive: number;
  interactive_ratio?: number | null;
  points_without: number;
  incomplete: number;
  schools: EquipmentRow[];
}
export interface EquipmentQuery {
  region_id?: number | null;
  school_id?: number | null;
}
export interface Area {
  id: number;
  region_id: number;
  name: string;
  vendor: string;
  schools: AreaSchool[];
  people: AreaPerson[];
}
export interface AreaSchool {
  id: number;
  name: string;
}
export interface AreaPerson {
  user_id: number;
  username?: string;
  tier: number;
}
export interface NewArea {
  region_id: number;
  name: string;
  vendor?: string;
  school_ids?: number[];
  people?: AreaPerson[];
}
export type InspectionKind = "automatic" | "human";
export type InspectionResult = "pass" | "unknown" | "fail";
export interface InspectionItem {
  point: string;
  result: InspectionResult;
  value?: string;
}
export interface Inspection {
  id: number;
  kind: InspectionKind;
  date: string;
  school_id: number;
  school: string;
  classroom_id: number;
  classroom: string;
  device_id?: string | null;
  result: InspectionResult;
  items: InspectionItem[];
  note: string;
  at: string;
  by: string;
}
export interface InspectionQuery {
  from?: string | null;
  to?: string | null;
  kind?: InspectionKind | null;
  result?: InspectionResult | null;
  region_id?: number | null;
  school_id?: number | null;
  classroom_id?: number | null;
  page?: number | null;
  page_size?: number | null;
}
export interface NewInspection {
  classroom_id: number;
  items: InspectionItem[];
  note?: string;
  open_order?: boolean;
}
export interface AssetPage {
  items: Asset[];
  total: number;
  page: number;
  page_size: number;
}
export interface InspectionPage {
  items: Inspection[];
  total: number;
  page: number;
  page_size: number;
}
export interface FleetQuery {
  region_id?: number | null;
  school_id?: number | null;
}
export interface FleetCounts {
  total: number;
  online: number;
  offline: number;
  off: number;
  unknown: number;
  reasons: FleetReason[];
}
export interface FleetReason {
  state: Liveness;
  why: LivenessReason;
  count: number;
}
export type BandwidthVerdict = "met" | "not_met" | "port_cannot_prove" | "no_target" | "no_figures";
export interface BandwidthRules {
  version: number;
  tolerance_percent: number;
  sets: RuleSet[];
}
export interface RuleSet {
  id: string;
  name: string;
  source: string;
  rules: BandwidthRule[];
}
export interface BandwidthRule {
  from_year: number;
  down_mbps?: number | null;
  up_mbps?: number | null;
  access_percent?: number | null;
  denominator: string;
  quote: string;
}
export interface BandwidthFollow {
  rule_set?: string | null;
}
export interface BandwidthFollowed {
  region_id: number;
  own?: string | null;
  effective?: string | null;
}
export interface BandwidthSettings {
  uplink_kbps?: number | null;
  schools_at_once: number;
  every_days: number;
  seconds: number;
  streams: number;
  boards_at_once: number;
}
export interface NewBandwidthTest {
  forced?: boolean;
  seconds?: number | null;
  streams?: number | null;
  device_ids?: string[];
}
export type BandwidthCause = "schedule" | "doubt" | "operator";
export type TargetFrom = "rule" | "contract" | "nobody";
export interface BandwidthTarget {
  down_kbps?: number | null;
  up_kbps?: number | null;
  from: TargetFrom;
  rule_set?: string | null;
  rules_version: number;
  quote?: string | null;
  tolerance_percent: number;
}
export type BandwidthDoubt = "board_missing" | "out_of_step" | "other_traffic" | "near_target" | "unlike_last";
export interface BandwidthDirection {
  target_kbps?: number | null;
  counted_kbps: number;
  payload_kbps: number;
  verdict: BandwidthVerdict;
}
export interface BandwidthDecision {
  verdict: BandwidthVerdict;
  target: BandwidthTarget;
  down?: BandwidthDirection | null;
  up?: BandwidthDirection | null;
  ports_mbps?: number | null;
  doubts: BandwidthDoubt[];
}
export interface BoardRate {
  payload_bytes: number;
  wire_bytes: number;
  ms: number;
  streams: number;
  payload_kbps: number;
  counted_kbps: number;
}
export interface BandwidthBoard {
  device_id: string;
  classroom: string;
  port_mbps?: number | null;
  link?: string | null;
  down?: BoardRate | null;
  up?: BoardRate | null;
  other_bytes?: number | null;
  rtt_ms?: number | null;
  in_step?: boolean | null;
  failed?: string | null;
  received_at?: string | null;
}
export interface BandwidthTest {
  id: string;
  school_id: number;
  school: string;
  cause: BandwidthCause;
  forced: boolean;
  starts_at: string;
  ends_at: string;
  seconds: number;
  streams: number;
  created_by: string;
  decided_at?: string | null;
  decision?: BandwidthDecision | null;
  boards?: BandwidthBoard[];
}
export interface TestQuery {
  school_id?: number | null;
  month?: string | null;
  page?: number | null;
  page_size?: number | null;
}
export interface BandwidthMonth {
  school_id: number;
  code: string;
  school: string;
  month: string;
  verdict: BandwidthVerdict;
  test_id?: string | null;
  tested_at?: string | null;
  decision?: BandwidthDecision | null;
  tests: number;
  doubtful: number;
}
export interface MonthQuery {
  month?: string | null;
  region_id?: number | null;
  verdict?: BandwidthVerdict | null;
  page?: number | null;
  page_size?: number | null;
}
export interface EvidenceQuery {
  month: string;
}
export interface BandwidthTestPage {
  items: BandwidthTest[];
  total: number;
  page: number;
  page_size: number;
}
export interface BandwidthMonthPage {
  items: BandwidthMonth[];
  total: number;
  page: number;
  page_size: number;
}
export type Liveness = "online" | "offline" | "off" | "unknown";
export type LivenessReason = "connected" | "lost" | "after_hours" | "never_heard" | "not_watched" | "broker_down" | "line_down" | "silent";
export interface Facts {
  connected?: boolean | null;
  last_seen?: string | null;
  needed: Need;
  school_lost: boolean;
  broker_up: boolean;
}
export type Need = "no" | { since: string };
export interface SeriesQuery {
  metrics: string;
  from?: string | null;
  to?: string | null;
  step?: string | null;
}
export type Tier = "raw" | "5m" | "1h";
export interface SeriesSet {
  from: string;
  to: string;
  tier: "raw" | "5m" | "1h";
  step_s: number;
  series: Series[];
  gaps: Gap[];
}
export interface Series {
  metric: string;
  unit: string;
  kind: "gauge" | "delta";
  points: SeriesPoint[];
}
export interface SeriesPoint {
  at: string;
  value: number;
  min: number;
  max: number;
  count: number;
}
export interface Gap {
  from: string;
  to: string;
}
export interface DeviceEventQuery {
  from?: string | null;
  to?: string | null;
  kind?: string | null;
  limit?: number | null;
}
export interface DeviceEventRow {
  at: string;
  received_at: string;
  boot_id: string;
  seq: number;
  kind: string;
  what: Record<string, unknown>;
}
export interface DeviceEventList {
  items: DeviceEventRow[];
}
export type ReportState = "draft" | "submitted" | "returned" | "approved" | "frozen";
export type ReportStepKind = "made" | "corrected" | "submitted" | "returned" | "approved" | "frozen";
export interface ReportStep {
  step: ReportStepKind;
  reason: string;
  at: string;
  by: string;
}
export interface Report {
  id: number;
  kind: ReportKind;
  from: string;
  to: string;
  region_id?: number | null;
  school_id?: number | null;
  place: string;
  version: number;
  state: ReportState;
  digest: string;
  made_at: string;
  made_by: string;
}
export interface ReportVersion {
  version: number;
  state: ReportState;
  corrects?: number | null;
  why: string;
  digest: string;
  made_at: string;
  made_by: string;
  sealed: boolean;
  steps: ReportStep[];
}
export interface ReportDetail {
  report: Report;
  versions: ReportVersion[];
}
export interface ShownFigure {
  name: string;
  indicator: string; school?: number | null; num?: number | null; den?: number | null; unknown?: number; rows: number;
  value?: string | null;
  manual: boolean;
}
export interface ReportFigures {
  version: number;
  state: ReportState;
  digest: string;
  dictionary: string;
  empty: boolean;
  figures: ShownFigure[];
  schools: ReportSchool[];
  days: ReportDay[];
}
export interface ReportSchool {
  id: number;
  code: string;
  name: string;
  teaching_point: boolean;
}
export interface ReportDay {
  date: string;
  devices: number;
  heard: number;
  silent: number;
  online_s: number;
}
export interface ReportCheck {
  version: number;
  digest: string;
  now: string;
  equal: boolean;
  changes: FigureChange[];
  seal?: boolean | null;
}
export interface ReportQuery {
  kind?: ReportKind | null;
  state?: ReportState | null;
  region_id?: number | null;
  school_id?: number | null;
  page?: number | null;
  page_size?: number | null;
}
export interface NewReport {
  kind: ReportKind;
  date: string;
  region_id?: number | null;
  school_id?: number | null;
}
export interface WithReason {
  reason: string;
}
export interface VersionQuery {
  version?: number | null;
}
export interface FigureQuery {
  version?: number | null;
  page?: number | null;
  page_size?: number | null;
}
export type ReportFormat = "xlsx" | "html" | "json" | "zip";
export interface ReportFileQuery {
  format: ReportFormat;
  version?: number | null;
}
export interface ManualFigure {
  indicator: string;
  numerator: number;
  denominator: number;
  note: string;
  updated_at: string;
  updated_by: string;
}
export interface ManualFigureChange {
  month: string;
  indicator: string;
  numerator: number;
  denominator: number;
  note?: string;
}
export interface RegisterQuery {
  from: string;
  to: string;
  region_id?: number | null;
  school_id?: number | null;
  page?: number | null;
  page_size?: number | null;
}
export type RegisterFormat = "xlsx" | "csv" | "html";
export interface RegisterFileQuery {
  from: string;
  to: string;
  region_id?: number | null;
  school_id?: number | null;
  format: RegisterFormat;
}
export interface RegisterPage {
  columns: string[];
  rows: string[][];
  total: number;
  page: number;
  page_size: number;
}
export interface Catalogue {
  schema_version: string;
  tables: ExportTable[];
}
export type ExportFormat = "csv" | "json" | "parquet";
export interface ExportQuery {
  format: ExportFormat;
  from?: string | null;
  to?: string | null;
  region_id?: number | null;
  school_id?: number | null;
}
export interface ReportPage {
  items: Report[];
  total: number;
  page: number;
  page_size: number;
}
export interface FigureRowPage {
  items: FigureRow[];
  total: number;
  page: number;
  page_size: number;
}
export type ReportKind = "month" | "quarter" | "year";
export interface About {
  kind: ReportKind;
  from: string;
  to: string;
  place_kind: string;
  place_id: number;
  place_code: string;
  place: string;
}
export interface BodySchool {
  id: number;
  code: string;
  name: string;
  teaching_point: boolean;
  region: string;
}
export interface BodyDay {
  devices: number;
  heard: number;
  silent: number;
  online_s: number;
}
export interface BodyDevice {
  id: string;
  label: string;
  days: number[];
}
export interface BodyRows {
  indicator: string;
  rows: FigureRow[];
}
export interface Body {
  format: number;
  dictionary: string;
  about: About;
  empty: boolean;
  schools: BodySchool[];
  figures: FigureSums[];
  days: BodyDay[];
  devices: BodyDevice[];
  rows: BodyRows[];
}
export interface FigureChange {
  figure: string;
  was?: string | null;
  is?: string | null;
}
export type ExportColumnType = "integer" | "text";
export interface ExportColumn {
  name: string;
  kind: ExportColumnType;
  about: string;
}
export interface ExportTable {
  name: string;
  about: string;
  dated: boolean;
  columns: ExportColumn[];
}
export type Value = "null" | { integer: number } | { text: string };
export type RegisterKind = "use" | "repair" | "inspection" | "resource";
export interface Table {
  kind: RegisterKind;
  from: string;
  to: string;
  rows: string[][];
  cut: boolean;
}
export interface SealedFile {
  name: string;
  blake3: string;
  size_bytes: number;
}
export interface ReportSeal {
  report: number;
  version: number;
  corrects?: number | null;
  kind: string;
  from: string;
  to: string;
  place: string;
  files: SealedFile[];
  frozen_at: string;
  frozen_by: string;
}
export type MetricUnit = "percent" | "bytes" | "count" | "celsius" | "mbps" | "seconds" | "milliseconds";
export type MetricKind = "gauge" | "delta";
export interface Metric {
  name: string;
  unit: MetricUnit;
  kind: MetricKind;
  min: number;
  max: number;
}
export interface Schemas {
  IncidentKind: IncidentKind;
  Cause: Cause;
  Evidence: Evidence;
  Incident: Incident;
  IncidentDetail: IncidentDetail;
  IncidentEvent: IncidentEvent;
  IncidentTold: IncidentTold;
  IncidentDevice: IncidentDevice;
  IncidentQuery: IncidentQuery;
  IncidentDeviceQuery: IncidentDeviceQuery;
  IncidentNote: IncidentNote;
  IncidentSnooze: IncidentSnooze;
  IncidentPage: IncidentPage;
  IncidentDevicePage: IncidentDevicePage;
  Severity: Severity;
  Schedule: Schedule;
  Condition: Condition;
  EventField: EventField;
  Side: Side;
  RuleBody: RuleBody;
  RuleSource: RuleSource;
  AlertRule: AlertRule;
  AlertRules: AlertRules;
  PlaceQuery: PlaceQuery;
  NewRule: NewRule;
  RuleTest: RuleTest;
  RuleTestHit: RuleTestHit;
  AlertMetrics: AlertMetrics;
  AlertMetric: AlertMetric;
  Alert: Alert;
  AlertQuery: AlertQuery;
  MaintenanceWindow: MaintenanceWindow;
  NewMaintenance: NewMaintenance;
  MaintenanceQuery: MaintenanceQuery;
  AlertPage: AlertPage;
  MaintenancePage: MaintenancePage;
  ChannelKind: ChannelKind;
  SmtpSecurity: SmtpSecurity;
  NewChannel: NewChannel;
  Channel: Channel;
  Channels: Channels;
  ChannelTest: ChannelTest;
  ChannelTested: ChannelTested;
  Recipient: Recipient;
  Recipients: Recipients;
  NewRecipient: NewRecipient;
  Escalation: Escalation;
  Escalations: Escalations;
  Notification: Notification;
  NotificationQuery: NotificationQuery;
  NotificationPage: NotificationPage;
  OrderKind: OrderKind;
  OrderSource: OrderSource;
  OrderClass: OrderClass;
  OrderState: OrderState;
  OrderAct: OrderAct;
  OrderBy: OrderBy;
  Order: Order;
  OrderClocks: OrderClocks;
  OrderClock: OrderClock;
  OrderSla: OrderSla;
  OrderDetail: OrderDetail;
  OrderEvent: OrderEvent;
  PhotoShows: PhotoShows;
  OrderPhoto: OrderPhoto;
  OrderQuery: OrderQuery;
  NewOrder: NewOrder;
  NewRectification: NewRectification;
  WorkStep: WorkStep;
  OrderWork: OrderWork;
  VerdictStep: VerdictStep;
  OrderVerdict: OrderVerdict;
  OrderChange: OrderChange;
  PhotoForm: PhotoForm;
  PhotoQuery: PhotoQuery;
  Part: Part;
  NewPart: NewPart;
  PartMove: PartMove;
  NewPartUse: NewPartUse;
  PartUse: PartUse;
  PartQuery: PartQuery;
  OrderSlas: OrderSlas;
  OrderSlaRow: OrderSlaRow;
  OrderSpan: OrderSpan;
  TechnicianFigures: TechnicianFigures;
  OrderCounts: OrderCounts;
  WallCode: WallCode;
  OrderPage: OrderPage;
  AssetKind: AssetKind;
  Asset: Asset;
  AssetReason: AssetReason;
  AssetSort: AssetSort;
  AssetQuery: AssetQuery;
  NewAsset: NewAsset;
  AssetChange: AssetChange;
  AssetImportQuery: AssetImportQuery;
  AssetReport: AssetReport;
  EquipmentRow: EquipmentRow;
  Equipment: Equipment;
  EquipmentQuery: EquipmentQuery;
  Area: Area;
  AreaSchool: AreaSchool;
  AreaPerson: AreaPerson;
  NewArea: NewArea;
  InspectionKind: InspectionKind;
  InspectionResult: InspectionResult;
  InspectionItem: InspectionItem;
  Inspection: Inspection;
  InspectionQuery: InspectionQuery;
  NewInspection: NewInspection;
  AssetPage: AssetPage;
  InspectionPage: InspectionPage;
  FleetQuery: FleetQuery;
  FleetCounts: FleetCounts;
  FleetReason: FleetReason;
  BandwidthVerdict: BandwidthVerdict;
  BandwidthRules: BandwidthRules;
  RuleSet: RuleSet;
  BandwidthRule: BandwidthRule;
  BandwidthFollow: BandwidthFollow;
  BandwidthFollowed: BandwidthFollowed;
  BandwidthSettings: BandwidthSettings;
  NewBandwidthTest: NewBandwidthTest;
  BandwidthCause: BandwidthCause;
  TargetFrom: TargetFrom;
  BandwidthTarget: BandwidthTarget;
  BandwidthDoubt: BandwidthDoubt;
  BandwidthDirection: BandwidthDirection;
  BandwidthDecision: BandwidthDecision;
  BoardRate: BoardRate;
  BandwidthBoard: BandwidthBoard;
  BandwidthTest: BandwidthTest;
  TestQuery: TestQuery;
  BandwidthMonth: BandwidthMonth;
  MonthQuery: MonthQuery;
  EvidenceQuery: EvidenceQuery;
  BandwidthTestPage: BandwidthTestPage;
  BandwidthMonthPage: BandwidthMonthPage;
  Liveness: Liveness;
  LivenessReason: LivenessReason;
  Facts: Facts;
  Need: Need;
  SeriesQuery: SeriesQuery;
  Tier: Tier;
  SeriesSet: SeriesSet;
  Series: Series;
  SeriesPoint: SeriesPoint;
  Gap: Gap;
  DeviceEventQuery: DeviceEventQuery;
  DeviceEventRow: DeviceEventRow;
  DeviceEventList: DeviceEventList;
  ReportState: ReportState;
  ReportStepKind: ReportStepKind;
  ReportStep: ReportStep;
  Report: Report;
  ReportVersion: ReportVersion;
  ReportDetail: ReportDetail;
  ShownFigure: ShownFigure;
  ReportFigures: ReportFigures;
  ReportSchool: ReportSchool;
  ReportDay: ReportDay;
  ReportCheck: ReportCheck;
  ReportQuery: ReportQuery;
  NewReport: NewReport;
  WithReason: WithReason;
  VersionQuery: VersionQuery;
  FigureQuery: FigureQuery;
  ReportFormat: ReportFormat;
  ReportFileQuery: ReportFileQuery;
  ManualFigure: ManualFigure;
  ManualFigureChange: ManualFigureChange;
  RegisterQuery: RegisterQuery;
  RegisterFormat: RegisterFormat;
  RegisterFileQuery: RegisterFileQuery;
  RegisterPage: RegisterPage;
  Catalogue: Catalogue;
  ExportFormat: ExportFormat;
  ExportQuery: ExportQuery;
  ReportPage: ReportPage;
  FigureRowPage: FigureRowPage;
  ReportKind: ReportKind;
  About: About;
  BodySchool: BodySchool;
  BodyDay: BodyDay;
  BodyDevice: BodyDevice;
  BodyRows: BodyRows;
  Body: Body;
  FigureChange: FigureChange;
  ExportColumnType: ExportColumnType;
  ExportColumn: ExportColumn;
  ExportTable: ExportTable;
  Value: Value;
  RegisterKind: RegisterKind;
  Table: Table;
  SealedFile: SealedFile;
  ReportSeal: ReportSeal;
  MetricUnit: MetricUnit;
  MetricKind: MetricKind;
  Metric: Metric;
  FaultClass: import("./schema").components["schemas"]["FaultClass"];
}
export interface FigureRow { school: number; key: string; label: string; num?: number | null; den?: number | null; unknown?: number; why?: string | null }
export interface FigureSums { indicator: string; school?: number | null; num?: number | null; den?: number | null; unknown?: number; rows: number }
export interface Schemas { FigureRow: FigureRow; IndicatorDictionary: { version: string; indicator: { id: string; kind: string; row: string; manual?: boolean; zh: string; en: string; definition: string; formula: string; denominator: string; source: string }[]; reason: { id: string; zh: string; en: string }[] } }
export interface ExportColumn { type: string }

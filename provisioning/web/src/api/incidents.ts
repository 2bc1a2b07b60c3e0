/** What went wrong, what belongs together, by which rules, and who was told of it. */

import { call } from "./raw";
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Severity = Schemas["AlertSeverity"];
export const SEVERITIES = ["critical", "warning", "notice"] as const satisfies readonly Severity[];
export type Cause = Schemas["IncidentCause"];
export const CAUSES = ["power", "line", "power_or_line", "device", "unknown"] as const satisfies readonly Cause[];
export type Incident = Schemas["Incident"];
export type IncidentDetail = Schemas["IncidentDetail"];
export type IncidentDevice = Schemas["IncidentDevice"];
export type IncidentTold = Schemas["IncidentTold"];
export type Alert = Schemas["Alert"];
export interface Paged { page: number; page_size: number }
export interface Place { region_id?: number; school_id?: number }
export interface IncidentQuery extends Paged, Place { open?: boolean; severity?: Severity; cause?: Cause; device_id?: string; q?: string; sort?: string }

export const incidents = {
  list: (query: IncidentQuery) => call<Schemas["IncidentPage"]>("get", "/incidents", { query }),
  get: (id: number) => call<IncidentDetail>("get", `/incidents/${id}`),
  devices: (id: number, query: Paged & { to_see?: boolean }) => call<Schemas["IncidentDevicePage"]>("get", `/incidents/${id}/devices`, { query }),
  acknowledge: (id: number, note: string) => call<IncidentDetail>("post", `/incidents/${id}/acknowledge`, { body: { note } }),
  giveBack: (id: number) => call<IncidentDetail>("delete", `/incidents/${id}/acknowledge`),
  resolve: (id: number, note: string) => call<IncidentDetail>("post", `/incidents/${id}/resolve`, { body: { note } }),
  note: (id: number, note: string) => call<IncidentDetail>("post", `/incidents/${id}/notes`, { body: { note } }),
  snooze: (id: number, until: string) => call<IncidentDetail>("post", `/incidents/${id}/snooze`, { body: { until } }),
};

export const alerts = {
  list: (query: Paged & Place & { open?: boolean; incident_id?: number; device_id?: string }) => call<Schemas["AlertPage"]>("get", "/alerts", { query }),
};

export type AlertRule = Schemas["AlertRule"];
export type RuleBody = Schemas["RuleBody"];
export type Condition = Schemas["AlertCondition"];
export type RuleTest = Schemas["RuleTest"];
export const rules = {
  list: (place: Place) => call<Schemas["AlertRules"]>("get", "/alert-rules", { query: place }).then((found) => found.items),
  metrics: () => call<Schemas["AlertMetrics"]>("get", "/alert-metrics"),
  set: (key: string, body: Place & { rule: RuleBody }) => call<AlertRule>("put", `/alert-rules/${key}`, { body }),
  test: (body: Place & { rule: RuleBody }) => call<RuleTest>("post", "/alert-rules/test", { body }),
  remove: (id: number) => call<void>("delete", `/alert-rules/${id}`),
};

export type MaintenanceWindow = Schemas["MaintenanceWindow"];
export const maintenance = {
  list: (query: Paged & { open?: boolean }) => call<Schemas["MaintenancePage"]>("get", "/maintenance-windows", { query }),
  create: (body: Schemas["NewMaintenance"]) => call<MaintenanceWindow>("post", "/maintenance-windows", { body }),
  cancel: (id: number) => call<MaintenanceWindow>("post", `/maintenance-windows/${id}/cancel`),
};

export type Channel = Schemas["Channel"];
export type ChannelKind = Schemas["ChannelKind"];
export type NewChannel = Schemas["NewChannel"];
export type Recipient = Schemas["Recipient"];
export type NewRecipient = Schemas["NewRecipient"];
export type Escalation = Schemas["Escalation"];
export type Escalations = Schemas["Escalations"];
export type Notification = Schemas["Notification"];
export const notify = {
  channels: () => call<Schemas["Channels"]>("get", "/notification-channels").then((found) => found.items),
  addChannel: (body: NewChannel) => call<Channel>("post", "/notification-channels", { body }),
  setChannel: (id: number, body: NewChannel) => call<Channel>("put", `/notification-channels/${id}`, { body }),
  removeChannel: (id: number) => call<void>("delete", `/notification-channels/${id}`),
  test: (id: number, address?: string) => call<Schemas["ChannelTested"]>("post", `/notification-channels/${id}/test`, { body: address ? { address } : {} }),
  recipients: () => call<Schemas["Recipients"]>("get", "/notification-recipients").then((found) => found.items),
  setRecipient: (body: NewRecipient) => call<Recipient>("put", "/notification-recipients", { body }),
  removeRecipient: (id: number) => call<void>("delete", `/notification-recipients/${id}`),
  escalations: () => call<Schemas["Escalations"]>("get", "/escalations"),
  removeEscalation: (region: number | null) => call<Schemas["Escalations"]>("delete", `/escalations/${region ?? 0}`),
  setEscalation: (body: Escalation) => call<Schemas["Escalations"]>("put", "/escalations", { body }),
  messages: (query: Paged & { state?: string; channel_id?: number; incident_id?: number }) => call<Schemas["NotificationPage"]>("get", "/notifications", { query }),
};

/** Names for the shapes of the console's API. All come from its OpenAPI document: `npm run gen` after a change there. */

import type { components, paths } from "./schema";

type Schemas = components["schemas"];

/** `status` 0: there was no answer at all. */
export type Problem = Omit<Schemas["Problem"], "type" | "title"> & { title?: string; detail: string; retry_after_s?: number };
export type Session = Schemas["Session"];
export type SessionOptions = Schemas["SessionOptions"];
export type SessionRow = Schemas["SessionInfo"];
export type Account = Schemas["Account"];
export type TotpSetup = Schemas["TotpSetup"];
export type LanguageCode = Schemas["Language"];

export type RoleId = Schemas["Role"];
export type Grant = Schemas["Grant"];
export type NodeRef = Schemas["NodeRef"];
export type Place = Schemas["Place"];
export type NewGrant = Schemas["NewGrant"];
export type UserKind = Schemas["UserKind"];
export type UserRow = Schemas["UserSummary"];
export type NewUser = Schemas["NewUser"];
export type ChangeUser = Schemas["ChangeUser"];
export type RoleMatrix = Schemas["RoleList"];

export type AuditRow = Omit<Schemas["AuditEntry"], "detail"> & { detail: Record<string, unknown> };
export type AuditQuery = NonNullable<paths["/audit"]["get"]["parameters"]["query"]>;
export type AuditVerdict = Schemas["AuditVerified"];
export type SecurityEvent = Omit<Schemas["SecurityEvent"], "detail"> & { detail: Record<string, unknown> };

export type RosterReport = Schemas["RosterReport"];
export type RosterQuery = NonNullable<paths["/regions/{id}/roster"]["post"]["parameters"]["query"]>;

export type Overview = Schemas["Overview"];
export type SystemInfo = Schemas["System"];

export type TreeRegion = Omit<Schemas["Region"], "kind" | "schools" | "above"> & { kind: string; schools: TreeSchool[]; above?: boolean };
export type TreeSchool = Omit<Schemas["SchoolSummary"], "kind"> & { kind: string };
export type RegionKind = Schemas["RegionKind"];
export type SchoolKind = Schemas["SchoolKind"];
export type SchoolDetail = Schemas["School"];

export type DeviceSummary = Schemas["DeviceSummary"];
export type DeviceDetail = Schemas["DeviceDetail"];
export type DeviceLesson = Schemas["DeviceLesson"];
export type DeviceBoot = Schemas["DeviceBoot"];
export type DeviceState = Schemas["DeviceState"];
export type DeviceQuery = NonNullable<paths["/devices"]["get"]["parameters"]["query"]>;

export type Readings = Schemas["Readings"];
export type HealthPoint = Schemas["HealthPoint"];

type Kinded = Extract<Schemas["CommandBody"], { kind: string }>;
/** The document says the tag of a test beside its reference, which the generator passes over. */
export type Command = Omit<Schemas["Command"], "body"> & { body: Kinded | ({ kind: "test_bandwidth" } & Schemas["BandwidthTest"]) };
/** A kind of command that this page can send. */
export type CommandBody = Exclude<Kinded, { kind: "unknown" }>;

export type Ticket = Schemas["EnrolmentTicket"];
export type TicketRow = Schemas["Ticket"];
export type NewTicket = Schemas["NewTicket"];

export type LessonMeta = Schemas["LessonMeta"];
export type LessonSummary = Schemas["LessonSummary"];
export type LessonDetail = Schemas["LessonDetail"];
export type LessonItem = Schemas["LessonItem"];
export type LessonFile = Schemas["LessonFile"];
export type LessonQuery = NonNullable<paths["/lessons"]["get"]["parameters"]["query"]>;
export type LessonUpload = Schemas["LessonUpload"];
export type Uploaded = Schemas["Uploaded"];

export type Push = Schemas["Push"];
export type PushDevice = Schemas["PushDevice"];
export type NewPush = Schemas["NewPush"];
export type PushQuery = NonNullable<paths["/pushes"]["get"]["parameters"]["query"]>;
export type PushTarget = Schemas["PushTarget"];
export type TargetKind = PushTarget["kind"];

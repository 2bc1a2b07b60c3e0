/** Shapes of routes that the console's document does not name yet, as agreed. Gone as soon as `schema.d.ts` has them. */

import type createClient from "openapi-fetch";

import { client } from "./client";

// eslint-disable-next-line @typescript-eslint/no-explicit-any
export const pending = client as unknown as ReturnType<typeof createClient<any>>;

export type RoleId = "overseer" | "county_operator" | "content_officer" | "technician" | "school_admin" | "auditor" | "system_admin";
export interface GrantNode { kind: "root" | "region" | "school"; id?: number | null; name: string }
export interface Grant { id: number; role: RoleId; node: GrantNode }
export interface Session { username: string; display_name: string; language: string; method: string; totp: boolean; actions: string[]; grants: Grant[] }
export interface SessionOptions { oidc?: { name: string } | null; local: boolean }

export type UserKind = "local" | "oidc" | "break_glass";
export interface Account { username: string; display_name: string; language: string; kind: UserKind; totp: boolean; password_changed_at?: string | null; grants: Grant[] }
export interface TotpSetup { secret: string; uri: string; qr_svg: string }
export interface SessionRow { id: string; created_at: string; last_seen_at?: string | null; address: string; user_agent: string; method: string; current: boolean }

export interface UserRow {
  id: number; username: string; display_name: string; language: string; kind: UserKind; disabled: boolean; totp: boolean;
  locked_until?: string | null; last_sign_in_at?: string | null; grants: Grant[];
}
export interface NewGrant { role: RoleId; region_id?: number; school_id?: number }
export interface NewUser { username: string; display_name: string; language: string; kind: UserKind; password?: string; grants: NewGrant[] }
export interface Paged<T> { items: T[]; total: number; page: number; page_size: number }
export interface RoleMatrix { roles: { id: RoleId; actions: string[] }[] }

export interface AuditRow {
  seq: number; at: string; actor_kind: string; actor: string; action: string; outcome: "done" | "refused" | "failed"; object_kind: string; object: string;
  region?: number | null; school?: number | null; place: string; address: string; request_id: string; detail: Record<string, unknown>; hash: string;
}
export interface AuditQuery { from?: string; to?: string; actor?: string; action?: string; object?: string; q?: string; outcome?: string; page?: number; page_size?: number }
export interface AuditVerdict { ok: boolean; entries: number; head_hash: string; signed_at?: string | null; signed_seq?: number | null; broken_at?: number | null; reason?: string | null }

export interface RosterCounts { added: number; changed: number; same: number }
export interface RosterReport {
  applied: boolean; rows: number; schools: RosterCounts; classrooms: RosterCounts;
  changes: { kind: string; code: string; name: string; what: string[] }[];
  change_count: number;
  errors: { sheet: string; row: number; column: string; code: string; message: string }[];
  error_count: number;
}

export interface SecurityEvent {
  id: number; kind: string; device_id?: string | null; school?: string | null; address: string; detail: Record<string, unknown>;
  first_at: string; last_at: string; times: number; acknowledged_at?: string | null; acknowledged_by?: string | null;
}

export interface RosterOfSchool { contracted_down_mbps?: number | null; contracted_up_mbps?: number | null }
export interface RosterOfClassroom { class?: string; owner?: string; builder?: string; maintainer?: string; equipment?: string }

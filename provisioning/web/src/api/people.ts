/** Calls about people: one's own account, everybody else's, what was done, and what looks wrong. */

import { ask } from "./client";
import { pending as client, type Paged } from "./pending";
import { set } from "./query";
import type { Account, AuditQuery, AuditRow, AuditVerdict, NewGrant, NewUser, RoleMatrix, SecurityEvent, SessionRow, TotpSetup, UserRow } from "./types";

const at = <I>(id: I) => ({ params: { path: { id } } });

export const account = {
  get: (): Promise<Account> => ask(client.GET("/account", {})),
  change: (body: { display_name?: string; language?: string }): Promise<Account> => ask(client.PATCH("/account", { body })),
  password: (current: string, fresh: string): Promise<void> => ask(client.POST("/account/password", { body: { current, new: fresh } })),
  totp: (password: string): Promise<TotpSetup> => ask(client.POST("/account/totp", { body: { password } })),
  confirmTotp: (code: string): Promise<void> => ask(client.POST("/account/totp/confirm", { body: { code } })),
  removeTotp: (password: string): Promise<void> => ask(client.DELETE("/account/totp", { body: { password } })),
  sessions: (): Promise<SessionRow[]> => ask<{ items: SessionRow[] }>(client.GET("/account/sessions", {})).then((found) => found.items),
  endSession: (id: string): Promise<void> => ask(client.DELETE("/account/sessions/{id}", at(id))),
};

export const users = {
  list: (query: { q?: string; page: number; page_size?: number }): Promise<Paged<UserRow>> => ask(client.GET("/users", { params: { query: set(query) } })),
  get: (id: number): Promise<UserRow> => ask(client.GET("/users/{id}", at(id))),
  create: (body: NewUser): Promise<{ id: number; password?: string | null }> => ask(client.POST("/users", { body })),
  change: (id: number, body: { display_name?: string; language?: string; disabled?: boolean }): Promise<UserRow> => ask(client.PATCH("/users/{id}", { ...at(id), body })),
  remove: (id: number): Promise<void> => ask(client.DELETE("/users/{id}", at(id))),
  /** Without a password of our own the console makes one and tells it this once. */
  resetPassword: (id: number): Promise<{ password?: string | null }> => ask(client.POST("/users/{id}/password", { ...at(id), body: {} })),
  removeTotp: (id: number): Promise<void> => ask(client.DELETE("/users/{id}/totp", at(id))),
  sessions: (id: number): Promise<SessionRow[]> => ask<{ items: SessionRow[] }>(client.GET("/users/{id}/sessions", at(id))).then((found) => found.items),
  endSession: (id: number, session: string): Promise<void> => ask(client.DELETE("/users/{id}/sessions/{session}", { params: { path: { id, session } } })),
  grant: (id: number, body: NewGrant): Promise<{ id: number }> => ask(client.POST("/users/{id}/grants", { ...at(id), body })),
  ungrant: (id: number, grant: number): Promise<void> => ask(client.DELETE("/users/{id}/grants/{grant}", { params: { path: { id, grant } } })),
};

export const roles = (): Promise<RoleMatrix> => ask(client.GET("/roles", {}));

export const audit = {
  list: (query: AuditQuery): Promise<Paged<AuditRow>> => ask(client.GET("/audit", { params: { query: set(query) } })),
  verify: (): Promise<AuditVerdict> => ask(client.GET("/audit/verify", {})),
  exportUrl: (query: AuditQuery): string => `/api/v1/audit/export?${new URLSearchParams(set(query) as Record<string, string>)}`,
};

export const roster = {
  templateUrl: (format: "xlsx" | "csv_schools" | "csv_classrooms"): string => `/api/v1/roster/template?format=${format}`,
};

export const security = {
  list: (open: boolean): Promise<SecurityEvent[]> =>
    ask<{ items: SecurityEvent[] }>(client.GET("/security-events", { params: { query: open ? { open: true } : {} } })).then((found) => found.items),
  acknowledge: (id: number): Promise<void> => ask(client.POST("/security-events/{id}/acknowledge", at(id))),
};

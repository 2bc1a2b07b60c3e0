/** Calls about people: one's own account, everybody else's, what was done, and what looks wrong. */

import { ask, client } from "./client";
import { set } from "./query";
import type { AuditQuery, ChangeUser, LanguageCode, NewGrant, NewUser } from "./types";

const at = <I>(id: I) => ({ params: { path: { id } } });

export const account = {
  get: () => ask(client.GET("/account")),
  change: (body: { display_name?: string; language?: LanguageCode }) => ask(client.PATCH("/account", { body })),
  password: (current: string, fresh: string) => ask(client.POST("/account/password", { body: { current, new: fresh } })),
  totp: (password: string) => ask(client.POST("/account/totp", { body: { password } })),
  confirmTotp: (code: string) => ask(client.POST("/account/totp/confirm", { body: { code } })),
  removeTotp: (password: string) => ask(client.DELETE("/account/totp", { body: { password } })),
  sessions: () => ask(client.GET("/account/sessions")).then((found) => found.items),
  endSession: (id: string) => ask(client.DELETE("/account/sessions/{id}", at(id))),
};

export const users = {
  list: (query: { q?: string; sort?: string; page: number; page_size?: number }) => ask(client.GET("/users", { params: { query: set(query) } })),
  get: (id: number) => ask(client.GET("/users/{id}", at(id))),
  create: (body: NewUser) => ask(client.POST("/users", { body })),
  change: (id: number, body: ChangeUser) => ask(client.PATCH("/users/{id}", { ...at(id), body })),
  remove: (id: number) => ask(client.DELETE("/users/{id}", at(id))),
  /** Without a password of our own the console makes one and tells it this once. */
  resetPassword: (id: number) => ask(client.POST("/users/{id}/password", { ...at(id), body: {} })),
  removeTotp: (id: number) => ask(client.DELETE("/users/{id}/totp", at(id))),
  sessions: (id: number) => ask(client.GET("/users/{id}/sessions", at(id))).then((found) => found.items),
  endSession: (id: number, session: string) => ask(client.DELETE("/users/{id}/sessions/{session}", { params: { path: { id, session } } })),
  grant: (id: number, body: NewGrant) => ask(client.POST("/users/{id}/grants", { ...at(id), body })),
  ungrant: (id: number, grant: number) => ask(client.DELETE("/users/{id}/grants/{grant}", { params: { path: { id, grant } } })),
};

export const roles = () => ask(client.GET("/roles"));

export const audit = {
  list: (query: AuditQuery) => ask(client.GET("/audit", { params: { query: set(query) } })),
  verify: () => ask(client.GET("/audit/verify")),
  exportUrl: (query: AuditQuery): string => `/api/v1/audit/export?${new URLSearchParams(set(query) as Record<string, string>)}`,
};

export const roster = {
  templateUrl: (format: "xlsx" | "csv_schools" | "csv_classrooms"): string => `/api/v1/roster/template?format=${format}`,
};

export const security = {
  list: (open: boolean) =>
    ask(client.GET("/security-events", { params: { query: open ? { open: true } : {} } })).then((found) => found.items),
  acknowledge: (id: number) => ask(client.POST("/security-events/{id}/acknowledge", at(id))),
  takeBack: (id: number) => ask(client.DELETE("/security-events/{id}/acknowledge", at(id))),
};

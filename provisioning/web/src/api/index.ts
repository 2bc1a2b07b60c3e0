/** Every call the pages make, by noun. Pages import this and the types, and know no path. */

import { ask, client } from "./client";
import { set } from "./query";
import type { Command, CommandBody, DeviceQuery, LessonMeta, LessonQuery, NewPush, NewTicket, PushDevice, PushQuery, RegionKind, SchoolDetail, SchoolKind } from "./types";

export { account, audit, roles, roster, security, users } from "./people";

/** The console gives at most this many rows at once. */
export const MAX_PAGE = 500;

export const session = {
  get: () => ask(client.GET("/session")),
  options: () => ask(client.GET("/session/options")),
  /** `totp` only after the console asked for it (`totp_required`). */
  create: (username: string, password: string, totp?: string) => ask(client.POST("/session", { body: { username, password, ...(totp ? { totp } : {}) } })),
  remove: () => ask(client.DELETE("/session")),
  /** Where the browser itself goes to sign in with the provider. */
  oidcUrl: (returnTo: string) => `/api/v1/session/oidc?return_to=${encodeURIComponent(returnTo)}`,
};

export const overview = () => ask(client.GET("/overview"));
export const system = () => ask(client.GET("/system"));

const at = <I>(id: I) => ({ params: { path: { id } } });

export const places = {
  tree: () => ask(client.GET("/tree")),
  school: (id: number): Promise<SchoolDetail> => ask(client.GET("/schools/{id}", at(id))),
  addRegion: (body: { parent_id?: number; kind: RegionKind; name: string; code?: string }) =>
    ask(client.POST("/regions", { body })),
  addSchool: (body: { region_id: number; code: string; name: string; kind: SchoolKind }) =>
    ask(client.POST("/schools", { body })),
  addClassroom: (body: { school_id: number; code: string; name: string; grade: string }) =>
    ask(client.POST("/classrooms", { body })),
  renameRegion: (id: number, name: string) => ask(client.PATCH("/regions/{id}", { ...at(id), body: { name } })),
  renameSchool: (id: number, name: string) => ask(client.PATCH("/schools/{id}", { ...at(id), body: { name } })),
  renameClassroom: (id: number, name: string) => ask(client.PATCH("/classrooms/{id}", { ...at(id), body: { name } })),
};

export const devices = {
  list: (query: DeviceQuery) => ask(client.GET("/devices", { params: { query: set(query) } })),
  get: (id: string) => ask(client.GET("/devices/{id}", at(id))),
  move: (id: string, classroom_id: number) => ask(client.PATCH("/devices/{id}", { ...at(id), body: { classroom_id } })),
  health: (id: string, from: string, to: string, max_points = 500) =>
    ask(client.GET("/devices/{id}/health", { params: { path: { id }, query: { from, to, max_points } } })),
  commands: (id: string) => ask(client.GET("/devices/{id}/commands", at(id))) as Promise<Command[]>,
  command: (id: string, body: CommandBody, ttl_s: number) =>
    ask(client.POST("/devices/{id}/commands", { ...at(id), body: { body, ttl_s } })),
};

export const tickets = {
  list: () => ask(client.GET("/tickets")).then((found) => found.items),
  create: (body: NewTicket) => ask(client.POST("/tickets", { body })),
  remove: (id: number) => ask(client.DELETE("/tickets/{id}", at(id))),
};

export const lessons = {
  list: (query: LessonQuery) => ask(client.GET("/lessons", { params: { query: set(query) } })),
  get: (id: string) => ask(client.GET("/lessons/{id}", at(id))),
  retire: (id: string) => ask(client.DELETE("/lessons/{id}", at(id))),
  describe: (id: string, version: number, meta: LessonMeta) => ask(client.PATCH("/lessons/{id}/meta", { ...at(id), body: { version, meta } })),
  fileUrl: (id: string, path: string) =>
    `/api/v1/lessons/${encodeURIComponent(id)}/files/${path.split("/").map(encodeURIComponent).join("/")}`,
};

export const pushes = {
  list: (query: PushQuery) => ask(client.GET("/pushes", { params: { query: set(query) } })),
  get: (id: number) => ask(client.GET("/pushes/{id}", at(id))),
  devices: (id: number, query: { state?: PushDevice["state"]; school_id?: number; page: number; page_size: number }) =>
    ask(client.GET("/pushes/{id}/devices", { params: { path: { id }, query: set(query) } })),
  create: (body: NewPush) => ask(client.POST("/pushes", { body })),
  withdraw: (id: number) => ask(client.DELETE("/pushes/{id}", at(id))),
};

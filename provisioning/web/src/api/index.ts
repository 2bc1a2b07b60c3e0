/** Every call the pages make, by noun. Pages import this and the types, and know no path. */

import { ask, client } from "./client";
import type * as T from "./types";

type Query = Record<string, string | number | boolean | undefined | null>;

/** Leaves out what is not set, so that an empty filter is no filter. */
function query(values: Query): Record<string, string | number | boolean> {
  const out: Record<string, string | number | boolean> = {};
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined && value !== null && value !== "") out[key] = value;
  }
  return out;
}

/** An endless table is nobody's wish; the console caps a page at this size. */
export const MAX_PAGE = 500;

export const session = {
  get: () => ask<T.Session>(client.GET("/api/v1/session")),
  create: (username: string, password: string) =>
    ask<T.Session>(client.POST("/api/v1/session", { body: { username, password } })),
  remove: () => ask<void>(client.DELETE("/api/v1/session")),
};

export const overview = () => ask<T.Overview>(client.GET("/api/v1/overview"));
export const system = () => ask<T.SystemInfo>(client.GET("/api/v1/system"));

export const places = {
  tree: () => ask<{ regions: T.TreeRegion[] }>(client.GET("/api/v1/tree")),
  school: (id: number) => ask<T.SchoolDetail>(client.GET("/api/v1/schools/{id}", { params: { path: { id } } })),
  addRegion: (body: { parent_id?: number; kind: string; name: string; code?: string }) =>
    ask<{ id: number }>(client.POST("/api/v1/regions", { body })),
  addSchool: (body: { region_id: number; code: string; name: string; kind: string }) =>
    ask<{ id: number }>(client.POST("/api/v1/schools", { body })),
  addClassroom: (body: { school_id: number; code: string; name: string; grade: string }) =>
    ask<{ id: number }>(client.POST("/api/v1/classrooms", { body })),
  renameRegion: (id: number, name: string) =>
    ask<void>(client.PATCH("/api/v1/regions/{id}", { params: { path: { id } }, body: { name } })),
  renameSchool: (id: number, name: string) =>
    ask<void>(client.PATCH("/api/v1/schools/{id}", { params: { path: { id } }, body: { name } })),
  renameClassroom: (id: number, name: string) =>
    ask<void>(client.PATCH("/api/v1/classrooms/{id}", { params: { path: { id } }, body: { name } })),
};

export interface DeviceQuery extends Query {
  region_id?: number;
  school_id?: number;
  classroom_id?: number;
  state?: string;
  q?: string;
  sort?: string;
  page?: number;
  page_size?: number;
}

export const devices = {
  list: (q: DeviceQuery) =>
    ask<T.Page<T.DeviceSummary>>(client.GET("/api/v1/devices", { params: { query: query(q) } })),
  get: (id: string) => ask<T.DeviceDetail>(client.GET("/api/v1/devices/{id}", { params: { path: { id } } })),
  move: (id: string, classroom_id: number) =>
    ask<T.DeviceSummary>(client.PATCH("/api/v1/devices/{id}", { params: { path: { id } }, body: { classroom_id } })),
  health: (id: string, from: string, to: string, max_points = 500) =>
    ask<T.Health>(
      client.GET("/api/v1/devices/{id}/health", { params: { path: { id }, query: { from, to, max_points } } }),
    ),
  commands: (id: string) =>
    ask<T.Command[]>(client.GET("/api/v1/devices/{id}/commands", { params: { path: { id } } })),
  command: (id: string, body: T.CommandBody, ttl_s: number) =>
    ask<T.Command>(client.POST("/api/v1/devices/{id}/commands", { params: { path: { id } }, body: { body, ttl_s } })),
};

export interface NewTicket {
  classroom_id: number;
  ttl_hours?: number;
  console_url?: string;
  broker_host?: string;
  broker_port?: number;
}

export const tickets = {
  list: () => ask<{ items: T.TicketRow[] }>(client.GET("/api/v1/tickets")).then((found) => found.items),
  create: (body: NewTicket) => ask<{ id: T.Id; ticket: T.Ticket }>(client.POST("/api/v1/tickets", { body })),
  remove: (id: T.Id) => ask<void>(client.DELETE("/api/v1/tickets/{id}", { params: { path: { id } } })),
};

export interface LessonQuery extends Query {
  subject?: string;
  grade?: string;
  q?: string;
  page?: number;
  page_size?: number;
}

export const lessons = {
  list: (q: LessonQuery) =>
    ask<T.Page<T.LessonSummary>>(client.GET("/api/v1/lessons", { params: { query: query(q) } })),
  get: (id: string) => ask<T.LessonDetail>(client.GET("/api/v1/lessons/{id}", { params: { path: { id } } })),
  retire: (id: string) => ask<void>(client.DELETE("/api/v1/lessons/{id}", { params: { path: { id } } })),
  fileUrl: (id: string, path: string) =>
    `/api/v1/lessons/${encodeURIComponent(id)}/files/${path.split("/").map(encodeURIComponent).join("/")}`,
};

export interface NewPush {
  lesson_ids: string[];
  target: { kind: T.TargetKind; id: T.Id };
  pinned: boolean;
  needed_by?: string;
}

export const pushes = {
  list: (q: { withdrawn?: boolean; page?: number; page_size?: number }) =>
    ask<T.Page<T.Push>>(client.GET("/api/v1/pushes", { params: { query: query(q) } })),
  get: (id: T.Id) => ask<T.Push>(client.GET("/api/v1/pushes/{id}", { params: { path: { id } } })),
  devices: (id: T.Id, q: { page?: number; page_size?: number }) =>
    ask<T.Page<T.PushDevice>>(
      client.GET("/api/v1/pushes/{id}/devices", { params: { path: { id }, query: query(q) } }),
    ),
  create: (body: NewPush) => ask<{ id: T.Id }>(client.POST("/api/v1/pushes", { body })),
  withdraw: (id: T.Id) => ask<void>(client.DELETE("/api/v1/pushes/{id}", { params: { path: { id } } })),
};

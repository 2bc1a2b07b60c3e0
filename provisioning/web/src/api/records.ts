/** What boards note down on their own, and what is decided about it: use, lesson opening, exams, faults, notices to many. */

import { ask, client } from "./client";
import { set } from "./query";
import type { components, paths } from "./schema";
import type { PushTarget } from "./types";

type Schemas = components["schemas"];
type Query<P extends keyof paths> = paths[P] extends { get: { parameters: { query?: infer Q } } } ? NonNullable<Q> : never;
const at = <I>(id: I) => ({ params: { path: { id } } });

export type AudioSpan = Schemas["AudioSpan"];
export type ExamState = Schemas["ExamState"];
export type Exam = Schemas["Exam"];
export type NewExam = Schemas["NewExam"];
export type Verdict = Schemas["SilenceVerdict"];
/** What needs a look comes first. */
export const VERDICTS = ["not_muted", "unknown", "running", "allowed_audio", "silent"] as const satisfies readonly Verdict[];
export type ClassroomSilence = Schemas["ClassroomSilence"];
export type SilenceEntry = Schemas["SilenceEntry"];
export const exams = {
  list: (query: Query<"/exams">) => ask(client.GET("/exams", { params: { query: set(query) } })),
  get: (id: string) => ask(client.GET("/exams/{id}", at(id))),
  create: (body: NewExam) => ask(client.POST("/exams", { body })),
  change: (id: string, body: Schemas["ExamChange"]) => ask(client.PATCH("/exams/{id}", { ...at(id), body })),
  cancel: (id: string) => ask(client.POST("/exams/{id}/cancel", at(id))),
  /** Without digits of our own the console makes some; they are told this once. */
  pin: (id: string, pin?: string) => ask(client.POST("/exams/{id}/pin", { ...at(id), body: pin ? { pin } : {} })),
  records: (id: string, query: { verdict?: Verdict; page: number; page_size: number }) =>
    ask(client.GET("/exams/{id}/records", { params: { path: { id }, query: set(query) } })),
  record: (id: string, classroom: number) => ask(client.GET("/exams/{id}/records/{classroom}", { params: { path: { id, classroom } } })),
  csvUrl: (id: string) => `/api/v1/exams/${encodeURIComponent(id)}/records.csv`,
};

export type Fault = Schemas["Fault"];
export type FaultClass = Fault["class"];
export type RepairState = Fault["state"];
export type RepairStep = Schemas["RepairStep"];
export const faults = {
  list: (query: Query<"/faults">) => ask(client.GET("/faults", { params: { query: set(query) } })),
  get: (id: string) => ask(client.GET("/faults/{id}", at(id))),
  set: (id: string, state: RepairStep, note: string) => ask(client.POST("/faults/{id}/state", { ...at(id), body: { state, note } })),
};

export type Target = PushTarget;
export type NewNotice = Schemas["NewNotice"];
export type NoticePreview = Schemas["NoticePreview"];
export type Notice = Schemas["Notice"];
export type NoticeDevice = Schemas["NoticeDevice"];
export const notices = {
  list: (query: Query<"/notices">) => ask(client.GET("/notices", { params: { query: set(query) } })),
  get: (id: number) => ask(client.GET("/notices/{id}", { params: { path: { id } } })),
  preview: (body: NewNotice) => ask(client.POST("/notices/preview", { body })),
  send: (body: NewNotice) => ask(client.POST("/notices", { body })),
  devices: (id: number, query: Query<"/notices/{id}/devices">) => ask(client.GET("/notices/{id}/devices", { params: { path: { id }, query } })),
};

export type UsageBy = Schemas["UsageBy"];
export type UsageQuery = Query<"/usage">;
export type UsageRow = Schemas["UsageRow"];
export type OpeningQuery = Query<"/lesson-opening">;
export type OpeningTotals = Schemas["OpeningTotals"];
export type OpeningRow = Schemas["OpeningRow"];
export type PeriodOpening = Schemas["PeriodOpening"];
const text = (query: object): string => new URLSearchParams(Object.entries(set(query)).map(([key, value]) => [key, String(value)])).toString();
export const usage = {
  get: (query: UsageQuery) => ask(client.GET("/usage", { params: { query: set(query) } })),
  usageCsvUrl: (query: UsageQuery) => `/api/v1/usage.csv?${text(query)}`,
  opening: (query: OpeningQuery) => ask(client.GET("/lesson-opening", { params: { query: set(query) } })),
  openingCsvUrl: (query: OpeningQuery) => `/api/v1/lesson-opening.csv?${text(query)}`,
  periods: (id: number, query: { from: string; to: string }) => ask(client.GET("/classrooms/{id}/periods", { params: { path: { id }, query } })),
};

/** Timetables of classrooms, the calendar they hold in, what is planned, and whether boards hold it already. */

import { ask, client } from "./client";
import type { components } from "./schema";
import { send, type Sending } from "./upload";

type Schemas = components["schemas"];
export type Period = Schemas["TimetablePeriod"];
export type TimetableSummary = Schemas["TimetableSummary"];
export type TimetableReport = Schemas["TimetableReport"];
export type Bell = Schemas["Bell"];
export type CalendarSettings = Schemas["CalendarSettings"];
export type EffectiveCalendar = Schemas["EffectiveCalendar"];
export type ReadyState = Schemas["ReadyState"];
export type Planned = Schemas["Planned"];
export type TeachingDay = Schemas["TeachingDay"];
export type NewPlanned = Schemas["NewPlanned"];
export type NewPlan = Schemas["NewPlan"];
export type PlanOutcome = Schemas["PlanOutcome"];
export type PlanReport = Schemas["PlanReport"];
export type ReadinessCounts = Schemas["ReadinessCounts"];
export type SchoolReadiness = Schemas["SchoolReadiness"];
const at = <I>(id: I) => ({ params: { path: { id } } });

export interface Importing { apply: boolean; encoding?: "utf-8" | "gbk" }
function upload(path: string, file: File, options: Importing): Sending<TimetableReport> {
  const form = new FormData();
  form.append("file", file, file.name);
  return send<TimetableReport>(`/api/v1${path}?${new URLSearchParams({ apply: String(options.apply), ...(options.encoding ? { encoding: options.encoding } : {}) })}`, form, () => undefined);
}

export const timetables = {
  ofSchool: (school: number) => ask(client.GET("/schools/{id}/timetables", at(school))),
  get: (classroom: number) => ask(client.GET("/classrooms/{id}/timetable", at(classroom))),
  set: (classroom: number, periods: Period[]) => ask(client.PUT("/classrooms/{id}/timetable", { ...at(classroom), body: { periods } })),
  importRoom: (classroom: number, file: File, options: Importing) => upload(`/classrooms/${classroom}/timetable`, file, options),
  importSchool: (school: number, file: File, options: Importing) => upload(`/schools/${school}/timetables`, file, options),
  templateUrl: (format: "xlsx" | "csv") => `/api/v1/timetables/template?format=${format}`,
  csesUrl: (classroom: number) => `/api/v1/classrooms/${classroom}/timetable.yaml`,
  planned: (id: number, from: string, to: string) => ask(client.GET("/classrooms/{id}/planned", { params: { path: { id }, query: { from, to } } })),
  setPlanned: (id: number, body: Schemas["NewPlannedList"]) => ask(client.PUT("/classrooms/{id}/planned", { ...at(id), body })),
  plan: (body: NewPlan) => ask(client.POST("/plans", { body })),
  readiness: (date: string) => ask(client.GET("/readiness", { params: { query: { date } } })),
  schoolReadiness: (id: number, date: string) => ask(client.GET("/schools/{id}/readiness", { params: { path: { id }, query: { date } } })),
};

export const calendars = {
  school: (id: number) => ask(client.GET("/schools/{id}/calendar", at(id))),
  setSchool: (id: number, body: CalendarSettings) => ask(client.PUT("/schools/{id}/calendar", { ...at(id), body })),
  region: (id: number) => ask(client.GET("/regions/{id}/calendar", at(id))),
  setRegion: (id: number, body: CalendarSettings) => ask(client.PUT("/regions/{id}/calendar", { ...at(id), body })),
  /** None takes the place's own PIN away. */
  pin: (kind: "school" | "region", id: number, pin: string | null) =>
    kind === "school" ? ask(client.PUT("/schools/{id}/technician-pin", { ...at(id), body: { pin } })) : ask(client.PUT("/regions/{id}/technician-pin", { ...at(id), body: { pin } })),
};

/** Reports and what they are made of, registers, manual figures, the data catalogue. */

import type { Paged, Place } from "./incidents";
import { call, fileUrl } from "./raw";
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Report = Schemas["Report"];
export type ReportKind = Schemas["ReportKind"];
export type ReportState = Schemas["ReportState"];
export type ReportDetail = Schemas["ReportDetail"];
export type ReportFigures = Schemas["ReportFigures"];
export type ReportPreview = Schemas["ReportPreview"];
export type ShownFigure = Schemas["ShownFigure"];
export type FigureRow = Schemas["FigureRow"];
export type ReportCheck = Schemas["ReportCheck"];
export type ReportFormat = "xlsx" | "html" | "json" | "zip";
export type ManualFigure = Schemas["ManualFigure"];
export const REPORT_KINDS = ["month", "quarter", "year"] as const satisfies readonly ReportKind[];
export const REPORT_STATES = ["draft", "submitted", "returned", "approved", "frozen"] as const satisfies readonly ReportState[];

export const reports = {
  list: (query: Paged & Place & { kind?: ReportKind; state?: ReportState; year?: number; sort?: string }) => call<Schemas["ReportPage"]>("get", "/reports", { query }),
  create: (body: Schemas["NewReport"]) => call<ReportDetail>("post", "/reports", { body }),
  preview: (query: Place & { kind: ReportKind }) => call<ReportPreview>("get", "/report-preview", { query }),
  get: (id: number) => call<ReportDetail>("get", `/reports/${id}`),
  figures: (id: number, version?: number) => call<ReportFigures>("get", `/reports/${id}/figures`, { query: { version } }),
  rows: (id: number, figure: string, query: Paged & { version?: number }) => call<Schemas["FigureRowPage"]>("get", `/reports/${id}/figures/${encodeURIComponent(figure)}/rows`, { query }),
  check: (id: number, version?: number) => call<ReportCheck>("get", `/reports/${id}/check`, { query: { version } }),
  step: (id: number, step: "refresh" | "submit" | "approve" | "freeze") => call<ReportDetail>("post", `/reports/${id}/${step}`),
  because: (id: number, step: "return" | "correct", reason: string) => call<ReportDetail>("post", `/reports/${id}/${step}`, { body: { reason } }),
  fileUrl: (id: number, format: ReportFormat, version?: number) => fileUrl(`/reports/${id}/file`, { format, version }),
  dictionary: () => call<Schemas["IndicatorDictionary"]>("get", "/indicators"),
  manual: (school: number, month: string) => call<ManualFigure[]>("get", `/schools/${school}/manual-figures`, { query: { month } }),
  setManual: (school: number, body: Schemas["ManualFigureChange"]) => call<ManualFigure[]>("put", `/schools/${school}/manual-figures`, { body }),
};
export type Indicator = Awaited<ReturnType<typeof reports.dictionary>>["indicator"][number];

export const REGISTERS = ["use", "repair", "inspection", "resource"] as const;
export type RegisterKind = (typeof REGISTERS)[number];
export const registers = {
  get: (kind: RegisterKind, query: Paged & Place & { from: string; to: string }) => call<Schemas["RegisterPage"]>("get", `/registers/${kind}`, { query }),
  fileUrl: (kind: RegisterKind, query: Place & { from: string; to: string; format: "xlsx" | "csv" | "html" }) => fileUrl(`/registers/${kind}/file`, query),
};

export type ExportTable = Schemas["ExportTable"];
export const catalogueOfData = {
  get: () => call<Schemas["Catalogue"]>("get", "/catalogue"),
  fileUrl: (table: string, query: Place & { from?: string; to?: string; format: "csv" | "json" | "parquet" }) => fileUrl(`/catalogue/${encodeURIComponent(table)}`, query),
};

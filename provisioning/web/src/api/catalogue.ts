/** Lessons on their way to the boards: words, review, findings; lines and forecasts; receipts; packs; trust. */

import { ask, client } from "./client";
import { set } from "./query";
import type { components, paths } from "./schema";
import type { LessonMeta, NewPush } from "./types";
import { send, type Sending } from "./upload";

type Schemas = components["schemas"];
export type ReviewState = Schemas["ReviewState"];
export type ReviewStep = Schemas["ReviewStep"];
export type ReviewItem = Schemas["ReviewItem"];
export type LessonReview = Schemas["LessonReview"];
export type LintReport = Schemas["LintReport"];
export type Vocabulary = Schemas["Vocabulary"];
export type Forecast = Schemas["Forecast"];
export type SchoolForecast = Schemas["SchoolForecast"];
export type Receipt = Schemas["Receipt"];
export type ReceiptState = Schemas["ReceiptState"];
export type SchoolReceipts = Schemas["SchoolReceipts"];
export type ReceiptSummary = Schemas["ReceiptSummary"];
export type ReceiptOutcome = Schemas["ReceiptOutcome"];
export type Pack = Schemas["Pack"];
export type NewPack = Schemas["NewPack"];
export type SchoolLine = Schemas["SchoolLine"];
export type LineSettings = Schemas["LineSettings"];
export type Hours = Schemas["Hours"];
export type TrustStanding = Schemas["TrustStanding"];
type ReviewQuery = NonNullable<paths["/reviews"]["get"]["parameters"]["query"]>;

const at = <I>(id: I) => ({ params: { path: { id } } });

export const catalogue = {
  words: () => ask(client.GET("/vocabularies")).then((found) => found.vocabularies),
  rules: () => ask(client.GET("/lint-rules")),
  findings: (id: string, version?: number) => ask(client.GET("/lessons/{id}/lint", { params: { path: { id }, query: set({ version }) } })),
  describe: (id: string, version: number, meta: LessonMeta) => ask(client.PATCH("/lessons/{id}/meta", { ...at(id), body: { version, meta } })),
};

export const reviews = {
  list: (query: ReviewQuery) => ask(client.GET("/reviews", { params: { query: set(query) } })),
  of: (id: string, version?: number) => ask(client.GET("/lessons/{id}/review", { params: { path: { id }, query: set({ version }) } })),
  /** Passes the step that is next. */
  pass: (id: string, step: ReviewStep, version: number, reason: string): Promise<LessonReview> => {
    const verdict = { version, verdict: "pass" as const, reason };
    switch (step) {
      case "self_check":
        return ask(client.POST("/lessons/{id}/review/self-check", { ...at(id), body: { version, reason } }));
      case "first":
        return ask(client.POST("/lessons/{id}/review/first", { ...at(id), body: verdict }));
      case "second":
        return ask(client.POST("/lessons/{id}/review/second", { ...at(id), body: verdict }));
      case "admit":
        return ask(client.POST("/lessons/{id}/review/admit", { ...at(id), body: verdict }));
      case "release":
        return ask(client.POST("/lessons/{id}/review/release", { ...at(id), body: verdict }));
    }
  },
  /** Sends the version back at the step that is next. */
  giveBack: (id: string, step: ReviewStep, version: number, reason: string): Promise<LessonReview> => {
    const body = { version, verdict: "return" as const, reason };
    if (step === "first") return ask(client.POST("/lessons/{id}/review/first", { ...at(id), body }));
    if (step === "second") return ask(client.POST("/lessons/{id}/review/second", { ...at(id), body }));
    if (step === "admit") return ask(client.POST("/lessons/{id}/review/admit", { ...at(id), body }));
    return ask(client.POST("/lessons/{id}/review/release", { ...at(id), body }));
  },
  withdraw: (id: string, reason: string) => ask(client.POST("/lessons/{id}/withdraw", { ...at(id), body: { reason } })),
};

export const lines = {
  get: (id: number) => ask(client.GET("/schools/{id}/line", at(id))),
  set: (id: number, body: LineSettings) => ask(client.PUT("/schools/{id}/line", { ...at(id), body })),
  authors: (id: number) => ask(client.GET("/schools/{id}/authors", at(id))),
  setAuthors: (id: number, device_ids: string[]) => ask(client.PUT("/schools/{id}/authors", { ...at(id), body: { device_ids } })),
};

/** The most that are told at once; the latest schools come first. */
const PAGE = { page: 1, page_size: 500 };
export const forecasts = {
  preview: (body: NewPush) => ask(client.POST("/push-forecast", { params: { query: PAGE }, body })),
  of: (id: number) => ask(client.GET("/pushes/{id}/forecast", { params: { path: { id }, query: PAGE } })),
};

export const receipts = {
  list: (id: number, query: { state?: ReceiptState; school_id?: number; page: number; page_size: number }) =>
    ask(client.GET("/pushes/{id}/receipts", { params: { path: { id }, query: set(query) } })),
  summary: (id: number) => ask(client.GET("/pushes/{id}/receipt-summary", at(id))),
  csvUrl: (id: number) => `/api/v1/pushes/${id}/receipts.csv`,
};

export const packs = {
  list: () => ask(client.GET("/packs", { params: { query: { page: 1, page_size: 50 } } })),
  make: (body: NewPack) => ask(client.POST("/packs", { body })),
  url: (id: string) => `/api/v1/packs/${encodeURIComponent(id)}/download`,
  bringBack: (files: File[], onProgress: (sent: number, total: number) => void): Sending<Schemas["ReceiptAnswers"]> => {
    const form = new FormData();
    for (const file of files) form.append("files", file, file.name);
    return send<Schemas["ReceiptAnswers"]>("/api/v1/pack-receipts", form, onProgress);
  },
};

export const trust = () => ask(client.GET("/trust"));

/** What schools' lines carry: tests of several boards together, and what came of them. */

import { fileUrl, call } from "./raw";
import type { components } from "./schema";

type Schemas = components["schemas"];

export type LineVerdict = Schemas["BandwidthVerdict"];
export const LINE_VERDICTS = ["not_met", "port_cannot_prove", "no_figures", "no_target", "met"] as const satisfies readonly LineVerdict[];
export type BandwidthMonth = Schemas["BandwidthMonth"];
export type BandwidthTest = Schemas["LineTest"];
export type BandwidthBoard = Schemas["BandwidthBoard"];
export type BandwidthSettings = Schemas["BandwidthSettings"];

export const bandwidth = {
  schools: (query: { month: string; region_id?: number; verdict?: LineVerdict; page: number; page_size: number }) => call<Schemas["BandwidthMonthPage"]>("get", "/bandwidth/schools", { query }),
  tests: (query: { school_id?: number; month?: string; page: number; page_size: number }) => call<Schemas["BandwidthTestPage"]>("get", "/bandwidth/tests", { query }),
  test: (id: string) => call<BandwidthTest>("get", `/bandwidth/tests/${encodeURIComponent(id)}`),
  start: (school: number, body: Schemas["NewBandwidthTest"]) => call<BandwidthTest>("post", `/schools/${school}/bandwidth-tests`, { body }),
  rules: () => call<Schemas["BandwidthRules"]>("get", "/bandwidth/rules"),
  settings: () => call<BandwidthSettings>("get", "/bandwidth/settings"),
  setSettings: (body: BandwidthSettings) => call<BandwidthSettings>("put", "/bandwidth/settings", { body }),
  evidenceUrl: (school: number, month: string) => fileUrl(`/schools/${school}/bandwidth-evidence`, { month }),
};

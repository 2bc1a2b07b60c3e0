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
export type BandwidthRules = Schemas["BandwidthRules"];
export type RuleSet = Schemas["RuleSet"];
export type BandwidthRule = Schemas["BandwidthRule"];
export type BandwidthFollowed = Schemas["BandwidthFollowed"];

export const bandwidth = {
  schools: (query: { month: string; region_id?: number; school_id?: number; verdict?: LineVerdict; q?: string; sort?: string; page: number; page_size: number }) => call<Schemas["BandwidthMonthPage"]>("get", "/bandwidth/schools", { query }),
  tests: (query: { school_id?: number; month?: string; page: number; page_size: number }) => call<Schemas["BandwidthTestPage"]>("get", "/bandwidth/tests", { query }),
  test: (id: string) => call<BandwidthTest>("get", `/bandwidth/tests/${encodeURIComponent(id)}`),
  start: (school: number, body: Schemas["NewBandwidthTest"]) => call<BandwidthTest>("post", `/schools/${school}/bandwidth-tests`, { body }),
  rules: () => call<BandwidthRules>("get", "/bandwidth/rules"),
  setRules: (body: BandwidthRules) => call<BandwidthRules>("put", "/bandwidth/rules", { body }),
  followed: (region: number) => call<BandwidthFollowed>("get", `/regions/${region}/bandwidth-rules`),
  follow: (region: number, rule_set: string | null) => call<BandwidthFollowed>("put", `/regions/${region}/bandwidth-rules`, { body: { rule_set } }),
  settings: () => call<BandwidthSettings>("get", "/bandwidth/settings"),
  setSettings: (body: BandwidthSettings) => call<BandwidthSettings>("put", "/bandwidth/settings", { body }),
  evidenceUrl: (school: number, month: string) => fileUrl(`/schools/${school}/bandwidth-evidence`, { month }),
};

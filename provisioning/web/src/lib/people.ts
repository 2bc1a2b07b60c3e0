/** Small decisions about people that several pages share. Words come from the catalogues. */

import type { Grant, RoleId } from "@/api/types";

/** In the order of the matrix. */
export const ROLES: readonly RoleId[] = ["overseer", "county_operator", "content_officer", "reviewer", "technician", "school_admin", "auditor", "system_admin"];

/** Where a role is held: the place's own name, or "the whole install". */
export const nodeName = (grant: Grant, t: (key: string) => string): string => (grant.node.kind === "root" ? t("people.root") : grant.node.name);

/** Shortest password that the console takes, in characters. */
export const PASSWORD_MIN = 10;
/** Fewest different characters. */
export const PASSWORD_DIFFERENT = 5;

export interface PasswordJudgement {
  /** The rules, each met or not. */
  rules: { key: "length" | "different" | "notName"; met: boolean }[];
  ok: boolean;
}

/** The console's rule, said before it is broken; the console judges again. */
export function judgePassword(password: string, username: string): PasswordJudgement {
  const name = [...username.trim().toLowerCase()];
  const lower = password.toLowerCase();
  const count = [...password].length;
  const rules: PasswordJudgement["rules"] = [
    { key: "length", met: count >= PASSWORD_MIN },
    { key: "different", met: new Set(lower).size >= PASSWORD_DIFFERENT },
    { key: "notName", met: password !== "" && (name.length === 0 || !lower.includes(name.join("")) || count >= name.length + PASSWORD_MIN) },
  ];
  return { rules, ok: rules.every((rule) => rule.met) };
}

/** A browser's own description in two words a person knows: `Edge · Windows`. */
export function browserName(agent: string): string {
  const browser = [["Edg/", "Edge"], ["MicroMessenger", "WeChat"], ["Firefox/", "Firefox"], ["Chrome/", "Chrome"], ["Safari/", "Safari"], ["curl/", "curl"]].find(([mark]) => agent.includes(mark!))?.[1];
  const system = [["Windows", "Windows"], ["HarmonyOS", "HarmonyOS"], ["OpenHarmony", "HarmonyOS"], ["Android", "Android"], ["iPhone", "iPhone"], ["iPad", "iPad"], ["Mac OS", "macOS"], ["Linux", "Linux"]].find(([mark]) => agent.includes(mark!))?.[1];
  return [browser, system].filter(Boolean).join(" · ");
}

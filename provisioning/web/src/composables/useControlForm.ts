/** The order to a board as it is being said; the same for one device and for many. */

import { reactive } from "vue";

import type { CommandBody } from "@/api/types";
import type { Controls } from "@/lib/controls";

export interface ControlForm {
  delay_s: number;
  on: boolean;
  percent: number | null;
  loud: "" | "mute" | "heard";
  force: boolean;
  reason: string;
  hours: number;
}
export type ControlKind = "power_off" | "screen" | "volume" | "lock" | "unlock" | "collect_logs";
type Body = Extract<CommandBody, { kind: ControlKind }>;
/** To many at once: no logs. */
export type ManyBody = Exclude<Body, { kind: "collect_logs" }>;

export function useControlForm(controls?: Controls | null): { form: ControlForm; ready: (kind: string) => boolean; body: (kind: ControlKind) => Body; many: (kind: Exclude<ControlKind, "collect_logs">) => ManyBody } {
  const form = reactive<ControlForm>({ delay_s: 60, on: false, percent: controls?.volume ?? null, loud: "", force: false, reason: "", hours: 24 });
  const forced = () => ({ force: form.force, reason: form.force ? form.reason.trim() : "" });
  function ready(kind: string): boolean {
    if (kind === "volume") return form.percent !== null || form.loud !== "";
    return !(kind === "power_off" || kind === "screen") || !form.force || form.reason.trim() !== "";
  }
  function many(kind: Exclude<ControlKind, "collect_logs">): ManyBody {
    switch (kind) {
      case "power_off":
        return { kind, delay_s: form.delay_s, ...forced() };
      case "screen":
        return { kind, on: form.on, ...(form.on ? { force: false, reason: "" } : forced()) };
      case "volume":
        return { kind, ...(form.percent === null ? {} : { percent: form.percent }), ...(form.loud ? { mute: form.loud === "mute" } : {}) };
      case "lock":
        return { kind, reason: form.reason.trim() };
      case "unlock":
        return { kind };
    }
  }
  return { form, ready, many, body: (kind) => (kind === "collect_logs" ? { kind, hours: form.hours } : many(kind)) };
}

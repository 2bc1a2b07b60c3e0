import { useI18n } from "vue-i18n";

import type { TimelineEntry } from "@/api/devices";
import { useEventWords } from "./useEventWords";

const text = (value: unknown): string => (typeof value === "string" ? value : typeof value === "number" ? String(value) : "");
const BAD = new Set(["offline", "raised", "lost", "failed", "rejected", "stolen", "revoked", "copied", "reopened", "warned"]);
const GOOD = new Set(["online", "cleared", "back", "succeeded", "arrived", "enrolled", "repaired", "confirmed"]);

/** One entry of a device's timeline in words, and where it leads. `titles`: names of rules by key. A word that this page does not know is shown as such. */
export function useTimelineWords(titles: () => Record<string, string>): { say: (e: TimelineEntry) => string; to: (e: TimelineEntry, device: string) => string | null; weight: (e: TimelineEntry) => "" | "bad" | "good" | "watch" } {
  const { t, te } = useI18n();
  const events = useEventWords();
  const word = (of: string, key: string): string => (te(`${of}.${key}`) ? t(`${of}.${key}`) : key);
  const event = (e: TimelineEntry) => ({ kind: e.what, what: e.detail, at: e.at, received_at: e.at, boot_id: "", seq: 0 }) as unknown as Parameters<typeof events.say>[0];
  const say = (e: TimelineEntry): string => {
    const d = e.detail ?? {};
    switch (e.kind) {
      case "event":
        return [events.say(event(e)), events.detail(event(e))].filter(Boolean).join(" · ");
      case "command":
        return t("timeline.command", { what: word("timeline.order", text(d.kind)), state: word("commandState", e.what) });
      case "state":
        return d.why ? t("timeline.state", { state: word("liveness", e.what), why: word("livenessWhy", text(d.why)) }) : word("liveness", e.what);
      case "alert":
        return t(e.what === "cleared" ? "timeline.cleared" : "timeline.raised", { rule: titles()[text(d.rule)] ?? text(d.rule) });
      case "incident":
        return t(e.what === "back" ? "timeline.back" : "timeline.lost", { number: text(e.reference), severity: word("severity", text(d.severity)) });
      case "order":
        return t("timeline.orderStep", { number: text(e.reference), step: word("orderAct", e.what) });
      case "push":
        return t(d.lessons === undefined ? "timeline.pushNo" : "timeline.pushOf", { what: word("timeline.pushed", e.what), number: text(e.reference), count: Number(d.lessons ?? 0) });
      case "identity":
        return word("timeline.identity", e.what);
      case "audit": {
        const name = te(`auditAction.${e.what}`) ? t(`auditAction.${e.what}`) : word("right", e.what);
        return d.outcome && d.outcome !== "done" ? t("timeline.audit", { what: name, outcome: word("outcome", text(d.outcome)) }) : name;
      }
      default:
        return e.what;
    }
  };
  const to = (e: TimelineEntry, device: string): string | null => {
    const path = encodeURIComponent(device);
    switch (e.kind) {
      case "event":
        return `/devices/${path}?tab=events`;
      case "command":
        return `/devices/${path}?tab=commands`;
      case "identity":
        return `/devices/${path}?tab=identity`;
      case "alert":
      case "incident":
        return e.reference ? `/incidents/${encodeURIComponent(e.reference)}` : null;
      case "order":
        return e.reference ? `/orders/${encodeURIComponent(e.reference)}` : null;
      case "push":
        return e.reference ? `/pushes/${encodeURIComponent(e.reference)}` : null;
      default:
        return null;
    }
  };
  const weight = (e: TimelineEntry): "" | "bad" | "good" | "watch" => {
    if (e.kind === "event") return events.weight(event(e));
    if (e.kind === "audit") return e.detail?.outcome === "refused" ? "watch" : "";
    return BAD.has(e.what) ? "bad" : GOOD.has(e.what) ? "good" : "";
  };
  return { say, to, weight };
}

import { useI18n } from "vue-i18n";

import { EVENT_KINDS, type DeviceEvent } from "@/api/fleet";
import { mbps } from "@/lib/lines";
import { useClock } from "./useClock";

type Fields = Record<string, unknown>;
const text = (value: unknown): string => (typeof value === "string" ? value : typeof value === "number" ? String(value) : "");
const CLASSES: Record<number, string> = { 8: "storage", 3: "hid", 9: "hub", 1: "audio", 14: "video" };
/** Payload rate of one direction, kbit/s. */
const rate = (one: unknown): number | null => {
  const { payload_bytes: bytes, ms } = (one ?? {}) as { payload_bytes?: number; ms?: number };
  return bytes !== undefined && ms ? (bytes * 8) / ms : null;
};

/** What a board says of an event, in words. A kind or a word that this page does not know is shown as such, never hidden. */
export function useEventWords(): { kind: (e: DeviceEvent) => string; say: (e: DeviceEvent) => string; detail: (e: DeviceEvent) => string; weight: (e: DeviceEvent) => "" | "watch" | "bad" } {
  const { t, te } = useI18n();
  const clock = useClock();
  const word = (of: string, key: unknown): string => (te(`${of}.${text(key)}`) ? t(`${of}.${text(key)}`) : text(key));
  const kind = (e: DeviceEvent): string => ((EVENT_KINDS as readonly string[]).includes(e.kind) ? e.kind : "other");
  const unlisted = (w: Fields): string => (w.unlisted === true ? ` (${t("eventSays.unlisted")})` : "");
  const say = (e: DeviceEvent): string => {
    const w = e.what as Fields;
    switch (e.kind) {
      case "booted":
        return t("eventSays.booted", { reason: word("bootReason", w.reason) }) + (typeof w.off_s === "number" ? t("eventSays.bootedOff", { time: clock(w.off_s) }) : "");
      case "usb":
        return t(`eventSays.usb.${text(w.action)}`, { ids: text(w.ids), classes: (Array.isArray(w.classes) ? (w.classes as number[]) : []).map((c) => t(`usbClass.${CLASSES[c] ?? "other"}`)).join(t("common.listSeparator")) }) + unlisted(w);
      case "app":
        return t(`eventSays.app.${text(w.action)}`, { app: text(w.app) }) + unlisted(w);
      case "tamper":
        return word("eventSays.tamper", w.what);
      case "player_error":
        return t("eventSays.player_error", { code: text(w.code), count: text(w.count) });
      case "clock_step":
        return t("eventSays.clock_step", { seconds: (Number(w.step_ms) / 1000).toFixed(1), by: word("clockBy", w.by) });
      case "link":
        return t(`eventSays.link.${w.up === true ? "up" : "down"}`);
      case "storage":
        return word("eventSays.storage", w.what);
      case "bandwidth":
        return w.failed ? t("eventSays.bandwidthFailed", { why: word("lineFailed", w.failed) }) : t("eventSays.bandwidth", { down: mbps(rate(w.down)), up: mbps(rate(w.up)) });
      default:
        return t("eventSays.other");
    }
  };
  /** A store that makes its first index says so; it is nobody's fault. */
  const first = (e: DeviceEvent): boolean => e.kind === "storage" && (e.what as Fields).what === "index_rebuilt" && (e.what as Fields).detail === "there was none";
  const detail = (e: DeviceEvent): string => (first(e) ? t("eventSays.firstIndex") : kind(e) === "other" ? JSON.stringify(e.what) : text((e.what as Fields).detail));
  const weight = (e: DeviceEvent): "" | "watch" | "bad" => {
    const w = e.what as Fields;
    if (first(e)) return "";
    if (e.kind === "storage" || e.kind === "tamper" || (e.kind === "booted" && ["crash", "watchdog", "thermal"].includes(text(w.reason)))) return "bad";
    return w.unlisted === true || e.kind === "player_error" || (e.kind === "booted" && w.reason === "power_loss") || (e.kind === "link" && w.up === false) ? "watch" : "";
  };
  return { kind, say, detail, weight };
}

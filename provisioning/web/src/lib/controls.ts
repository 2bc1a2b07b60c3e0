/** What a device can be told, and what takes it back. */

import type { CommandBody, DeviceDetail } from "@/api/types";

export type Controls = NonNullable<DeviceDetail["controls"]>;
export type Kind = CommandBody["kind"];

/** As in the contract: what an agent can that does not say what it can. */
const BEFORE = ["reboot", "notice", "test_bandwidth"];

export function able(controls: Controls | null | undefined, ability: string): boolean {
  return (controls?.abilities ?? BEFORE).includes(ability);
}

/** The order that takes this one back, as far as it is known how the board was before; nothing where there is none. */
export function inverse(body: { kind: string; on?: boolean; mute?: boolean | null; percent?: number | null; reason?: string }, before?: Controls | null): CommandBody | null {
  switch (body.kind) {
    // Dark again would need a reason in class hours.
    case "screen":
      return body.on ? null : { kind: "screen", on: true, force: false, reason: "" };
    case "lock":
      return { kind: "unlock" };
    case "unlock":
      return before?.locked ? { kind: "lock", reason: before.locked.reason } : null;
    case "volume": {
      const percent = body.percent == null ? null : (before?.volume ?? null);
      const mute = body.mute == null ? null : (before?.muted ?? null);
      if (percent === null && mute === null) return null;
      return { kind: "volume", ...(percent === null ? {} : { percent }), ...(mute === null ? {} : { mute }) };
    }
    default:
      return null;
  }
}

/** The word of an order in the catalogue `control`. */
export function wordOf(body: { kind: string; on?: boolean }): string {
  return body.kind === "screen" ? (body.on ? "screen_on" : "screen_off") : body.kind;
}

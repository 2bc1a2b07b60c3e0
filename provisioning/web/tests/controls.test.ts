import { describe, expect, it } from "vitest";

import { able, inverse, wordOf, type Controls } from "@/lib/controls";

const before: Controls = { abilities: ["screen", "volume", "lock"], volume: 60, muted: false, locked: { reason: "检修" } };

describe("controls of a device", () => {
  it("an agent that does not say what it can is an older one", () => {
    expect(able(null, "reboot")).toBe(true);
    expect(able(null, "lock")).toBe(false);
    expect(able(before, "lock")).toBe(true);
    expect(able(before, "reboot")).toBe(false);
  });
  it("takes back what can be taken back, to how it was", () => {
    expect(inverse({ kind: "screen", on: false })).toEqual({ kind: "screen", on: true, force: false, reason: "" });
    expect(inverse({ kind: "screen", on: true })).toBeNull();
    expect(inverse({ kind: "lock" })).toEqual({ kind: "unlock" });
    expect(inverse({ kind: "unlock" }, before)).toEqual({ kind: "lock", reason: "检修" });
    expect(inverse({ kind: "unlock" })).toBeNull();
    expect(inverse({ kind: "volume", percent: 10, mute: true }, before)).toEqual({ kind: "volume", percent: 60, mute: false });
    expect(inverse({ kind: "volume", percent: 10 }, { abilities: [] })).toBeNull();
    expect(inverse({ kind: "power_off" })).toBeNull();
    expect(wordOf({ kind: "screen", on: false })).toBe("screen_off");
  });
});

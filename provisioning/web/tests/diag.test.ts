import { describe, expect, it } from "vitest";

import { decodeDiag, findings, MAX_DIAG_BYTES } from "../src/lib/diag";

const code = (body: unknown): string => Buffer.from(typeof body === "string" ? body : JSON.stringify(body)).toString("base64url");
const board = { d: "bbt-1", s: "QS1", v: "0.1.0", c: true, u: 60, o: true, a: true, L: [3, 1, 0], e: "", E: ["disk_full"], b: "江南一号" };

describe("a fault code", () => {
  it("is read from each of its forms, with every name spelled out", () => {
    for (const text of [`BBT1.${code(board)}`, `#1.${code(board)}`, `https://console.example/diag#1.${code(board)}`, `  BBT1.${code(board)}\n`]) {
      const found = decodeDiag(text);
      expect(found.ok, text).toBe(true);
      if (found.ok) expect(found.diagnosis).toMatchObject({ device: "bbt-1", board: "江南一号", ready: 3, arriving: 1, failed: 0, errors: ["disk_full"], linkMbps: null, online: true });
    }
  });
  it("is refused with the reason", () => {
    const fault = (text: string) => { const found = decodeDiag(text); return found.ok ? "" : found.fault; };
    expect(fault("hello")).toBe("beginning");
    expect(fault("")).toBe("beginning");
    expect(fault("BBT2.abcd")).toBe("beginning");
    expect(fault(`BBT1.${code("{not json")}`)).toBe("damaged");
    expect(fault(`BBT1.${code("[1]")}`)).toBe("damaged");
    expect(fault("BBT1.@@@")).toBe("damaged");
    expect(fault(`BBT1.${code({ s: "x".repeat(MAX_DIAG_BYTES) })}`)).toBe("long");
  });
  it("is never trusted in its types", () => {
    const found = decodeDiag(`BBT1.${code({ d: 7, u: "x", L: "no", E: [1, "a"], c: "yes", h: null })}`);
    expect(found).toMatchObject({ ok: true, diagnosis: { device: "", uptimeS: 0, ready: 0, errors: ["a"], clockTrusted: false, celsius: null } });
  });
  it("says what to look at first, and nothing of a board that is well", () => {
    const of = (more: object): string[] => { const found = decodeDiag(`BBT1.${code({ ...board, ...more })}`); return found.ok ? findings(found.diagnosis) : ["bad"]; };
    expect(of({})).toEqual([]);
    expect(of({ o: false, a: false })).toEqual(["cable"]);
    expect(of({ o: false, a: false, l: 1000 })).toEqual(["address"]);
    expect(of({ o: false, l: 1000 })).toEqual(["console"]);
    expect(of({ f: 100, h: 85, c: false, L: [1, 0, 2] })).toEqual(["clock", "disk", "hot", "lessons"]);
  });
});

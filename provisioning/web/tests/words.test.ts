import { beforeAll, describe, expect, it, vi } from "vitest";

describe("words that a board or a stranger sends", () => {
  let words: { t: (key: string, args?: object) => string; te: (key: string) => boolean };
  beforeAll(async () => {
    await import("vue-i18n");
    vi.stubGlobal("localStorage", { getItem: () => null });
    vi.stubGlobal("document", { documentElement: {} });
    words = (await import("../src/i18n")).i18n.global as unknown as typeof words;
  });
  it("are no sentence of the catalogue unless they stand in it", () => {
    const names = ["constructor", "__proto__", "toString", "valueOf", "hasOwnProperty", "isPrototypeOf", "constructor.name", "length", "", "[", "a.b..c", "=1+1<b>", "{x}", "@:page.home", "a|b"];
    for (const name of names) for (const of of ["commandReason", "failure", "auditAction", "deviceEvent", "no.such"]) expect(words.te(`${of}.${name}`), `${of}.${name}`).toBe(false);
  });
  it("are found where they do, and what is put into a sentence is only text", () => {
    expect(words.te("views.title")).toBe(true);
    expect(words.te("views")).toBe(false);
    expect(words.t("views.title")).toBe("视图");
    expect(words.t("views.by", { owner: "<b>{x}@:y|z" })).toContain("<b>{x}@:y|z");
  });
});

import { describe, expect, it } from "vitest";

import type { SetupStatus } from "../src/api/setup";
import type { UserRow } from "../src/api/types";
import { awayFromSetup, canGoOn, codesTwice, judges, judgesLeft, NEEDS, playersHere, roomsIn, shownStep, STEPS } from "../src/lib/setup";
import sample from "../public/sample/sample.json";
import { existsSync } from "node:fs";

const status = (next: SetupStatus["next"]): SetupStatus => ({ next }) as SetupStatus;

describe("the first run", () => {
  it("shows what was asked for, else what is next, else what comes after", () => {
    expect(shownStep("lesson", status("county"))).toBe("lesson");
    expect(shownStep("done", status("county"))).toBe("done");
    expect(shownStep(undefined, status("device"))).toBe("device");
    expect(shownStep("../../etc", status("device"))).toBe("device");
    expect(shownStep(undefined, status(null))).toBe("done");
    expect(Object.keys(NEEDS)).toEqual(STEPS);
    const half = { steps: [{ step: "county", done: true }, { step: "places", done: false }] } as SetupStatus;
    expect(canGoOn(half, (action) => action === "classrooms.write")).toBe(true);
    expect(canGoOn(half, (action) => action === "regions.write")).toBe(false);
  });

  it("leads back to the step from which a page was opened, also from a page behind it", () => {
    expect(awayFromSetup("", "push", "setup", "push")).toBe("push");
    expect(awayFromSetup("push", "device", "push", "push")).toBe("push");
    expect(awayFromSetup("push", "tickets", "setup", "done")).toBe("");
    expect(awayFromSetup("push", "setup", "device", "push")).toBe("");
    // Who goes to the console on purpose is not called back; the overview has its own way to the wizard.
    expect(awayFromSetup("push", "overview", "device", "push")).toBe("");
    expect(awayFromSetup("", "push", "pushes", "push")).toBe("");
  });

  it("names only addresses that open on this computer", () => {
    const urls = ["http://127.0.0.1:8008/", "http://192.168.1.20:8008/", "http://[::1]:8008/"];
    expect(playersHere(urls, true)).toEqual(urls);
    expect(playersHere(urls, false)).toEqual(["http://192.168.1.20:8008/"]);
  });

  it("reads classrooms as people write them", () => {
    expect(roomsIn("三年级（1）班\n\n  三年级（2）班 \r\n")).toEqual([{ code: "01", name: "三年级（1）班" }, { code: "02", name: "三年级（2）班" }]);
    expect(roomsIn("301 三年级（1）班\n3-2，三年级（2）班")).toEqual([{ code: "301", name: "三年级（1）班" }, { code: "3-2", name: "三年级（2）班" }]);
    // A word without a digit is a name and no code; a code that was chosen is not counted up to.
    expect(roomsIn("Grade 3 Class 1\n01 Music")).toEqual([{ code: "02", name: "Grade 3 Class 1" }, { code: "01", name: "Music" }]);
    expect(roomsIn("一班", ["01", "02"])).toEqual([{ code: "03", name: "一班" }]);
    expect(codesTwice(roomsIn("1 a\n1 b\n2 c"))).toEqual(["1"]);
    expect(codesTwice(roomsIn("a\nb"))).toEqual([]);
  });

  it("asks for three judges, and for none twice", () => {
    expect((["draft", "self_checked", "first", "second", "admitted", "released"] as const).map(judgesLeft)).toEqual([3, 3, 2, 1, 0, 0]);
    const user = (username: string, role: string, more = {}): UserRow => ({ username, disabled: false, grants: [{ role, node: { kind: "root", name: "" } }], ...more }) as unknown as UserRow;
    const people = [user("admin", "content_officer"), user("li", "reviewer"), user("wang", "content_officer"), user("gone", "reviewer", { disabled: true }), user("chen", "technician")];
    const history = [{ step: "upload", person: "Admin", version: 1 }, { step: "first", person: "li", version: 1 }];
    const review = { version: 1, uploaded_by: "admin", history, owner: { kind: "root", name: "" } } as unknown as Parameters<typeof judges>[1];
    expect(judges(people, review, []).map((one) => one.username)).toEqual(["wang"]);
    // What somebody did to an older version does not bind them.
    expect(judges(people, { ...review, version: 2 }, []).map((one) => one.username)).toEqual(["li", "wang"]);
  });

  it("has the files of the lesson that comes with it", () => {
    for (const file of sample.files) expect(existsSync(`public/sample/${file.at}`), file.at).toBe(true);
    for (const field of ["title", "stage", "subject", "edition", "grade", "volume"] as const) expect(sample.meta[field], field).not.toBe("");
  });
});

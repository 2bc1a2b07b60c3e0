import { strFromU8, unzipSync } from "fflate";
import { describe, expect, it } from "vitest";

import { grouped, isFingerprint } from "../src/lib/codes";
import { zipOf } from "../src/lib/disk";

describe("codes as people type them", () => {
  it("groups what a label and a screen say", () => {
    expect(grouped("7k3m9qxzc")).toBe("7K3M-9QXZ-C");
    expect(grouped("7K3M 9QXZ")).toBe("7K3M-9QXZ");
    expect(grouped(" 7k3m-9qxz-c ")).toBe("7K3M-9QXZ-C");
  });
  it("reads letters that look like digits as the digits", () => {
    expect(grouped("OIL0-1111")).toBe("0110-1111");
  });
  it("leaves what is no code alone", () => {
    expect(grouped("7K3")).toBe("7K3");
    expect(grouped("")).toBe("");
  });
  it("knows a fingerprint by its length, whatever separates it", () => {
    expect(isFingerprint("7k3m-9qxz")).toBe(true);
    expect(isFingerprint("7k3m 9qxz")).toBe(true);
    expect(isFingerprint("7K3M-9QXZ-C")).toBe(false);
    expect(isFingerprint("")).toBe(false);
  });
});

it("packs files into the folders of a disk", () => {
  const disk = unzipSync(zipOf({ "bbt/replies/301.json": { 班级: "三年级" }, "bbt/county.json": {} }));
  expect(Object.keys(disk).sort()).toEqual(["bbt/county.json", "bbt/replies/301.json"]);
  expect(JSON.parse(strFromU8(disk["bbt/replies/301.json"]!))).toEqual({ 班级: "三年级" });
});

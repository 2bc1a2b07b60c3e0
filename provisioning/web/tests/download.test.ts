import { describe, expect, it } from "vitest";

import { ProblemError } from "../src/api/problem";
import { fetchFile, fileName, isFetched } from "../src/lib/download";

const here = "https://console.example";
const link = (path: string, origin = here): { origin: string; pathname: string } => ({ origin, pathname: path });

describe("a file behind a link", () => {
  it("is fetched here when it is the console's and not too big to be held", () => {
    expect(isFetched(link("/api/v1/devices/export.csv"), here)).toBe(true);
    expect(isFetched(link("/api/v1/packs/p1/download"), here)).toBe(false);
    expect(isFetched(link("/api/v1/backups/b.bbt"), here)).toBe(false);
    expect(isFetched(link("/api/v1/order-evidence.zip"), here)).toBe(false);
    expect(isFetched(link("/sample/sample.json"), here)).toBe(false);
    expect(isFetched(link("/api/v1/devices/export.csv", "https://elsewhere.example"), here)).toBe(false);
  });

  it("has the name that the console gave it", () => {
    expect(fileName('attachment; filename="a b.csv"', "/x")).toBe("a b.csv");
    expect(fileName("attachment; filename=a.csv; filename*=UTF-8''%E5%90%8D%E5%86%8C.csv", "/x")).toBe("名册.csv");
    expect(fileName("attachment; filename=a.csv; filename*=UTF-8''%E5", "/x")).toBe("a.csv");
    expect(fileName(null, "/api/v1/timetable.yaml")).toBe("timetable.yaml");
  });

  it("comes with its bytes, or with the console's words and the request's id", async () => {
    const answer = (body: string, init: ResponseInit): typeof fetch => async () => new Response(body, init);
    const url = `${here}/api/v1/devices/export.csv`;
    const file = await fetchFile(url, "zh-CN", answer("a,b", { headers: { "content-disposition": "attachment; filename=devices.csv" } }));
    expect([file.name, await file.blob.text()]).toEqual(["devices.csv", "a,b"]);
    const refused = (get: typeof fetch): Promise<ProblemError> => fetchFile(url, "zh-CN", get).then(() => { throw new Error("it came"); }, (cause: unknown) => cause as ProblemError);
    const said = await refused(answer(JSON.stringify({ code: "forbidden", message: "没有权限", detail: "" }), { status: 403, headers: { "x-request-id": "r1" } }));
    expect([said.problem.message, said.problem.request_id]).toEqual(["没有权限", "r1"]);
    expect((await refused(answer("<html>", { status: 502, headers: { "x-request-id": "r2" } }))).problem).toMatchObject({ status: 502, request_id: "r2" });
    expect((await refused(async () => { throw new TypeError("no line"); })).problem.code).toBe("unreachable");
  });
});

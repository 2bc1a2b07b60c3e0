import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

/** Pages of lists, and what they list. */
const LISTS: Record<string, string> = {
  "pages/Assets.vue": "/assets", "pages/Audit.vue": "/audit", "pages/Bandwidth.vue": "/bandwidth/schools", "lib/devices.ts": "/devices", "pages/Exams.vue": "/exams", "pages/Faults.vue": "/faults",
  "pages/Incidents.vue": "/incidents", "pages/Lessons.vue": "/lessons", "pages/Notices.vue": "/notices", "pages/Orders.vue": "/orders", "pages/People.vue": "/users", "pages/Pushes.vue": "/pushes", "pages/Reports.vue": "/reports",
};
interface Parameter { name: string; schema?: { pattern?: string } }
const document = JSON.parse(readFileSync("openapi.json", "utf8")) as { paths: Record<string, { get?: { parameters?: Parameter[] } }> };
const parameters = (path: string): Parameter[] => document.paths[path]?.get?.parameters ?? [];
const words = (path: string): string[] => (parameters(path).find((p) => p.name === "sort")?.schema?.pattern ?? "").replace(/^\^-\?\(/, "").replace(/\)\$$/, "").split("|");

describe("lists", () => {
  for (const [file, path] of Object.entries(LISTS)) {
    it(`of ${path} are ordered by words that the console knows`, () => {
      const text = readFileSync(`src/${file}`, "utf8");
      const used = [...text.matchAll(/\bsort: "(\w+)"/g)].map((m) => m[1]!);
      expect(used.length, "columns with an order").toBeGreaterThan(2);
      expect(used.filter((word) => !words(path).includes(word))).toEqual([]);
      expect(new Set(used).size, "an order stands twice").toBe(used.length);
    });
  }

  it("narrow by filters that the console knows, and their files by the same", () => {
    for (const path of Object.values(LISTS)) {
      const file = path === "/bandwidth/schools" ? "/bandwidth/export.csv" : `${path}/export.csv`;
      const names = (of: string): string[] => parameters(of).map((p) => p.name).sort();
      expect(names(file), file).toEqual(names(path));
    }
  });

  it("all stand on a page", () => {
    const sortable = Object.keys(document.paths).filter((path) => !/\/export(\.csv)?$/.test(path) && parameters(path).some((p) => p.name === "sort"));
    // Inspections are shown beside the ledger, in the console's own order.
    expect(sortable.sort()).toEqual([...Object.values(LISTS), "/inspections"].sort());
  });
});

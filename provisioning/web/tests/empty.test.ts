import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const vues = ["src/pages", "src/components"].flatMap((folder) => readdirSync(folder).filter((name) => name.endsWith(".vue")).map((name) => join(folder, name)));
/** Tags of a name, as written. */
const tags = (text: string, name: string): string[] => [...text.matchAll(new RegExp(`<${name}\\b(?:"[^"]*"|'[^']*'|[^>"'])*>`, "g"))].map((m) => m[0]);

/** Tables that are only there when they have rows, or whose rows are always there. */
const NEVER_EMPTY = new Set([
  "AuditDetail", "BackupPanel", "BatchDialog", "DataCatalogue", "DeviceBulkDialog", "EquipmentPanel", "EscalationPanel", "FollowTable", "ForecastView", "IdentityPanel",
  "LessonImportReportView", "LineDrawer", "ListVirtual", "NetworkPanel", "NoticeDrawer", "PlanDialog", "RestorePanel", "RosterReportView", "RulesPanel", "SlaPanel", "TimetableImport", "UsbDialog", "Incident", "Lesson", "Report", "ReportFigures",
]);

describe("an empty place", () => {
  it("says more than that it is empty", () => {
    const bare = vues.flatMap((file) => tags(readFileSync(file, "utf8"), "EmptyState").filter((tag) => tag.endsWith("/>") && !/\s:?text=/.test(tag)).map((tag) => `${file}: ${tag}`));
    expect(bare).toEqual([]);
    const lists = vues.flatMap((file) => tags(readFileSync(file, "utf8"), "ListShell").filter((tag) => !/\s:none-text=/.test(tag)).map(() => file));
    expect(lists).toEqual([]);
  });

  it("is thought of in every table", () => {
    const without = vues.filter((file) => {
      const text = readFileSync(file, "utf8");
      const name = file.replace(/^.*[\\/]|\.vue$/g, "");
      return tags(text, "el-table").some((tag) => !tag.includes(":empty-text=")) && !text.includes("#empty") && !NEVER_EMPTY.has(name);
    });
    expect(without).toEqual([]);
  });

  it("offers a way on only with its name", () => {
    for (const file of vues) {
      for (const tag of tags(readFileSync(file, "utf8"), "EmptyState")) expect(/\sto="/.test(tag), `${file}: ${tag}`).toBe(/\s:go="/.test(tag));
    }
  });
});

describe("a problem", () => {
  it("is shown with its request id wherever one is caught", () => {
    const silent = vues.filter((file) => {
      const text = readFileSync(file, "utf8");
      return /asProblem\(/.test(text) && !/<ProblemAlert\b/.test(text) && !/emit\("problem"/.test(text);
    });
    expect(silent).toEqual([]);
  });
});

/** Many lessons at once: a rehearsal that says what is wrong, then the import of all that is good. */

import type { components, paths } from "./schema";
import { send, type Sending } from "./upload";

type Schemas = components["schemas"];
export type LessonImportReport = Schemas["LessonImportReport"];
export type LessonImportQuery = NonNullable<paths["/lesson-imports"]["post"]["parameters"]["query"]>;

export const importTemplateUrl = (format: "xlsx" | "csv"): string => `/api/v1/lesson-imports/template?format=${format}`;

export function importLessons(zip: File, table: File | null, query: LessonImportQuery, onProgress: (sent: number, total: number) => void): Sending<LessonImportReport> {
  const form = new FormData();
  if (table) form.append("table", table, table.name);
  form.append("zip", zip, zip.name);
  const asked = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  return send<LessonImportReport>(`/api/v1/lesson-imports?${new URLSearchParams(asked.map(([key, value]) => [key, String(value)]))}`, form, onProgress);
}

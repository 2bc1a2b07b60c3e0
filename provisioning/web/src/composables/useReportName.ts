import { useI18n } from "vue-i18n";

import type { Report } from "@/api/reports";

/** What a report is called: `2026-10 monthly report`. */
export function useReportName(): (report: Pick<Report, "kind" | "from">) => string {
  const { t } = useI18n();
  return ({ kind, from }) => {
    const [year, month] = from.split("-").map(Number);
    return t(`reportName.${kind}`, { year: year ?? 0, month: month ?? 0, quarter: Math.floor(((month ?? 1) - 1) / 3) + 1 });
  };
}

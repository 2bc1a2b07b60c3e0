import { useI18n } from "vue-i18n";

import { clock } from "@/lib/clocks";

/** Seconds as "3 h 15 min", in the page's language; a dash where nothing was measured. */
export function useClock(): (seconds: number | null | undefined) => string {
  const { t } = useI18n();
  return (seconds) => {
    if (seconds === null || seconds === undefined) return "–";
    const { key, a, b } = clock(seconds);
    return t(`clock.${key}`, { a, b });
  };
}

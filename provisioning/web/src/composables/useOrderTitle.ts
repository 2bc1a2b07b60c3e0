import { useI18n } from "vue-i18n";

import type { Order } from "@/api/orders";

/** What a work order is about: its own title, or the fault in words. */
export function useOrderTitle(): (order: Pick<Order, "title" | "fault_class" | "symptom" | "kind" | "class">) => string {
  const { t, te } = useI18n();
  return (one) => {
    if (one.title) return one.title;
    if (one.kind === "rectification") return t("orderKind.rectification");
    if (!one.fault_class) return t(`orderClass.${one.class}`);
    // What the console opened for an incident says which rule it was.
    const key = [`symptom.${one.fault_class}.${one.symptom}`, `alertRule.${one.symptom}`].find((known) => one.symptom && te(known));
    const symptom = key ? t(key) : one.symptom;
    return [te(`faultClass.${one.fault_class}`) ? t(`faultClass.${one.fault_class}`) : one.fault_class, symptom].filter(Boolean).join(" · ");
  };
}

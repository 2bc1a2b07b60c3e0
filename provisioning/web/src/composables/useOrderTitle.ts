import { useI18n } from "vue-i18n";

import type { Order } from "@/api/orders";

/** What a work order is about: its own title, or the fault in words. */
export function useOrderTitle(): (order: Pick<Order, "title" | "fault_class" | "symptom" | "kind" | "class">) => string {
  const { t, te } = useI18n();
  return (one) => {
    if (one.title) return one.title;
    if (one.kind === "rectification") return t("orderKind.rectification");
    if (!one.fault_class) return t(`orderClass.${one.class}`);
    const symptom = one.symptom && te(`symptom.${one.fault_class}.${one.symptom}`) ? t(`symptom.${one.fault_class}.${one.symptom}`) : one.symptom;
    return [te(`faultClass.${one.fault_class}`) ? t(`faultClass.${one.fault_class}`) : one.fault_class, symptom].filter(Boolean).join(" · ");
  };
}

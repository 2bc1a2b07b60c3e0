import { useI18n } from "vue-i18n";

import type { AlertRule, Condition } from "@/api/incidents";
import { span } from "@/lib/format";
import { amount } from "@/lib/metrics";

/** A rule's condition as a sentence; readings and events that have no word here keep their name. */
export function useRuleWords(): { condition: (c: Condition) => string; metric: (name: string) => string; event: (name: string) => string; rule: (key: string, rules: AlertRule[]) => string } {
  const { t, te } = useI18n();
  const metric = (name: string): string => (te(`metric.${name}`) ? t(`metric.${name}`) : name);
  const event = (name: string): string => (te(`deviceEvent.${name}`) ? t(`deviceEvent.${name}`) : name);
  const level = (name: string, value: number): string => amount(name, value, (unit, n) => t(`unit.${unit}`, { n }));
  /** What an event must say, in the words in which a device's own page says it. */
  const said = (of: string, field: { name: string; value: string }): string => {
    if (field.name === "unlisted") return t("eventSays.unlisted");
    const key = field.name === "reason" ? `bootReason.${field.value}` : `eventSays.${of}.${field.value}`;
    return te(key) ? t(key) : `${field.name} = ${field.value}`;
  };
  const stretch = (seconds: number): string => {
    const { unit, count } = seconds % 86_400 === 0 ? { unit: "days", count: seconds / 86_400 } : span(seconds * 1000);
    return t(`duration.${unit}`, { count });
  };
  const condition = (c: Condition): string => {
    switch (c.kind) {
      case "metric":
        return t("rule.says.metric", { metric: metric(c.metric), side: t(`rule.sides.${c.side}`), raise: level(c.metric, c.raise), clear: level(c.metric, c.clear) });
      case "event":
        return t("rule.says.event", { event: c.field ? t("rule.says.that", { event: event(c.event), what: said(c.event, c.field) }) : event(c.event), within: stretch(c.within_s), count: c.count });
      case "school_lost":
        return t("rule.says.school_lost", { percent: c.percent, boards: c.boards });
      case "offline":
        return t("rule.says.offline");
    }
  };
  return { condition, metric, event, rule: (key, rules) => rules.find((r) => r.key === key)?.title ?? key };
}

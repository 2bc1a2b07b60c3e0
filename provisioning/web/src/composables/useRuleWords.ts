import { useI18n } from "vue-i18n";

import type { AlertRule, Condition } from "@/api/incidents";

/** A rule's condition as a sentence; readings and events that have no word here keep their name. */
export function useRuleWords(): { condition: (c: Condition) => string; metric: (name: string) => string; event: (name: string) => string; rule: (key: string, rules: AlertRule[]) => string } {
  const { t, te } = useI18n();
  const metric = (name: string): string => (te(`metric.${name}`) ? t(`metric.${name}`) : name);
  const event = (name: string): string => (te(`deviceEvent.${name}`) ? t(`deviceEvent.${name}`) : name);
  const condition = (c: Condition): string => {
    switch (c.kind) {
      case "metric":
        return t("rule.says.metric", { metric: metric(c.metric), side: t(`rule.sides.${c.side}`), raise: c.raise, clear: c.clear });
      case "event":
        return t("rule.says.event", { event: `${event(c.event)}${c.field ? ` (${c.field.name} = ${c.field.value})` : ""}`, within: Math.round(c.within_s / 60), count: c.count });
      case "school_lost":
        return t("rule.says.school_lost", { percent: c.percent, boards: c.boards });
      case "offline":
        return t("rule.says.offline");
    }
  };
  return { condition, metric, event, rule: (key, rules) => rules.find((r) => r.key === key)?.title ?? key };
}

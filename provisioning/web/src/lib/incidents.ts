/** Pure words about incidents. */

import type { Cause, Escalation, Escalations, Incident } from "@/api/incidents";
import type { FaultClass } from "@/api/records";

export type IncidentState = "open" | "acknowledged" | "snoozed" | "cleared" | "resolved";

/** The one word that says most: resolved before cleared before snoozed before acknowledged. */
export function incidentState(incident: Pick<Incident, "resolved_at" | "cleared_at" | "snoozed_until" | "acknowledged_at">, now: number): IncidentState {
  if (incident.resolved_at) return "resolved";
  if (incident.cleared_at) return "cleared";
  if (incident.snoozed_until && Date.parse(incident.snoozed_until) > now) return "snoozed";
  return incident.acknowledged_at ? "acknowledged" : "open";
}

export interface EscalationRow { region: number | null; critical: number; warning: number; builtIn: boolean }

/** What holds everywhere (set, or built in), then what single regions have of their own. */
export function escalationRows(found: Escalations): EscalationRow[] {
  const row = (one: Escalation, builtIn = false): EscalationRow => ({ region: one.region_id ?? null, critical: one.critical_minutes, warning: one.warning_minutes, builtIn });
  const everywhere = found.items.find((one) => (one.region_id ?? null) === null);
  return [everywhere ? row(everywhere) : row({ ...found.default, region_id: null }, true), ...found.items.filter((one) => (one.region_id ?? null) !== null).map((one) => row(one))];
}

/** What an order for an incident is about, by its cause. */
export function faultOf(cause: Cause): FaultClass {
  return cause === "line" ? "network" : cause === "power" || cause === "power_or_line" ? "power" : "other";
}

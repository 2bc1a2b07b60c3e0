/** Pure words about incidents. */

import type { Incident } from "@/api/incidents";

export type IncidentState = "open" | "acknowledged" | "snoozed" | "cleared" | "resolved";

/** The one word that says most: resolved before cleared before snoozed before acknowledged. */
export function incidentState(incident: Pick<Incident, "resolved_at" | "cleared_at" | "snoozed_until" | "acknowledged_at">, now: number): IncidentState {
  if (incident.resolved_at) return "resolved";
  if (incident.cleared_at) return "cleared";
  if (incident.snoozed_until && Date.parse(incident.snoozed_until) > now) return "snoozed";
  return incident.acknowledged_at ? "acknowledged" : "open";
}

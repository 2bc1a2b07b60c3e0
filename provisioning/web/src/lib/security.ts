/** How security events are shown. */

import type { SecurityEvent } from "@/api/types";

/** Open ones first, among them the newest; then what was dealt with, newest first. */
export function inOrder(events: SecurityEvent[]): SecurityEvent[] {
  const last = (e: SecurityEvent): number => Date.parse(e.last_at) || 0;
  return [...events].sort((a, b) => Number(Boolean(a.acknowledged_at)) - Number(Boolean(b.acknowledged_at)) || last(b) - last(a));
}

/** What the event itself tells, as words and figures; objects as JSON. */
export const facts = (event: SecurityEvent): { key: string; value: string }[] =>
  Object.entries(event.detail ?? {})
    .filter(([, value]) => value !== null && value !== "")
    .map(([key, value]) => ({ key, value: typeof value === "object" ? JSON.stringify(value) : String(value) }));

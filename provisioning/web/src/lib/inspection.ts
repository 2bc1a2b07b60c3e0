/** What somebody looks at who is in the classroom, in the order in which one goes round it. */

import type { InspectionResult } from "@/api/assets";

export const POINTS = ["power", "screen", "touch", "sound", "network", "cabling", "fixing", "accessories", "clean", "label"] as const;
export type Point = (typeof POINTS)[number];
export interface Looked { result: InspectionResult | ""; value: string }

/** Points that were looked at, as the console takes them; a point that nobody looked at is not told at all. */
export function itemsOf(looked: Record<Point, Looked>): { point: Point; result: InspectionResult; value?: string }[] {
  return POINTS.flatMap((point) => {
    const { result, value } = looked[point];
    return result ? [{ point, result, ...(value.trim() ? { value: value.trim() } : {}) }] : [];
  });
}

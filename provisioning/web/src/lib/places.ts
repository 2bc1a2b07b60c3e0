/** Regions and their schools, as areas and rules need them. */

import type { TreeRegion, TreeSchool } from "@/api/types";

/** A region and all below it. A circle ends where it began. */
export function below(regions: readonly TreeRegion[], region: number): Set<number> {
  const found = new Set([region]);
  for (let grown = true; grown; ) {
    grown = false;
    for (const one of regions) {
      if (one.parent_id !== null && one.parent_id !== undefined && found.has(one.parent_id) && !found.has(one.id)) {
        found.add(one.id);
        grown = true;
      }
    }
  }
  return found;
}

/** Schools of a region and all below it, by name. */
export function schoolsBelow(regions: readonly TreeRegion[], region: number): TreeSchool[] {
  const within = below(regions, region);
  return regions.filter((r) => within.has(r.id)).flatMap((r) => r.schools).sort((a, b) => a.name.localeCompare(b.name, "zh-CN"));
}

/**
 * What a list of places to choose from consists of: hundreds of schools only once somebody looks for one; until then only what is
 * chosen, for its name. Places above one's own are not to be chosen.
 */
export function offered<P extends { key: string; kind: string; above: boolean }>(options: readonly P[], { schoolsOnly, opened, chosen }: { schoolsOnly?: boolean; opened: boolean; chosen: string | readonly string[] }): P[] {
  return options.filter((o) => !o.above && (!schoolsOnly || o.kind === "school") && (opened || [chosen].flat().includes(o.key)));
}

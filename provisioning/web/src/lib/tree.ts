/** The county's tree, from the flat list that the console gives. */

import type { TargetKind, TreeRegion, TreeSchool } from "@/api/types";

export interface PlaceNode {
  /** Unique over the whole tree: `region:3`. */
  key: string;
  kind: Exclude<TargetKind, "device">;
  id: number;
  label: string;
  /** `county`, `teaching_point` …; empty for a classroom. */
  type: string;
  devices: number;
  online: number;
  schools: number;
  classrooms: number;
  children?: PlaceNode[];
  leaf: boolean;
  /** Only named to show the way down: it lies above what the person may see. */
  above?: boolean;
}

export const keyOf = (kind: string, id: number | string): string => `${kind}:${id}`;

/** `region:3` → its parts; nothing for anything else. */
export function parseKey(key: string | null | undefined): { kind: PlaceNode["kind"]; id: number } | null {
  const found = /^(region|school|classroom):(\d+)$/.exec(key ?? "");
  return found ? { kind: found[1] as PlaceNode["kind"], id: Number(found[2]) } : null;
}

function schoolNode(school: TreeSchool): PlaceNode {
  return {
    key: keyOf("school", school.id),
    kind: "school",
    id: school.id,
    label: school.name,
    type: school.kind,
    devices: school.devices,
    online: school.online,
    schools: 1,
    classrooms: school.classrooms,
    leaf: school.classrooms === 0,
  };
}

/** Regions with their schools and sub-regions; sums go up. A region whose parent is not there becomes a root. */
export function buildTree(regions: TreeRegion[]): PlaceNode[] {
  const known = new Set(regions.map((r) => r.id));
  const below = (parent: number | null, seen: Set<number>): PlaceNode[] =>
    regions
      .filter((r) => (known.has(r.parent_id ?? -1) ? r.parent_id === parent : parent === null))
      .filter((r) => !seen.has(r.id))
      .map((r) => {
        const children = [...below(r.id, new Set([...seen, r.id])), ...r.schools.map(schoolNode)];
        const sum = (of: (node: PlaceNode) => number): number => children.reduce((n, c) => n + of(c), 0);
        return {
          key: keyOf("region", r.id),
          kind: "region" as const,
          id: r.id,
          label: r.name,
          type: r.kind,
          devices: sum((c) => c.devices),
          online: sum((c) => c.online),
          schools: sum((c) => c.schools),
          classrooms: sum((c) => c.classrooms),
          children,
          leaf: children.length === 0,
          ...(r.above ? { above: true } : {}),
        };
      });
  return below(null, new Set());
}

/** The topmost node that the person may look into. */
export function firstOwn(tree: PlaceNode[]): PlaceNode | undefined {
  for (const node of tree) {
    const found = node.above ? firstOwn(node.children ?? []) : node;
    if (found) return found;
  }
  return undefined;
}

/** The node with that key and its ancestors, root first; empty if it is not there. */
export function pathTo(tree: PlaceNode[], key: string): PlaceNode[] {
  for (const node of tree) {
    if (node.key === key) return [node];
    const rest = pathTo(node.children ?? [], key);
    if (rest.length > 0) return [node, ...rest];
  }
  return [];
}

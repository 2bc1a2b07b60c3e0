import { computed, type ComputedRef } from "vue";

import { places } from "@/api";
import { buildTree, type PlaceNode } from "@/lib/tree";
import { useResource, type Resource } from "./useResource";

export interface PlaceOption { key: string; kind: "region" | "school"; id: number; label: string; path: string; depth: number; devices: number; above: boolean }

/** Regions and schools as one list, top down, each with the way to it. */
export function usePlaces(): { tree: Resource<Awaited<ReturnType<typeof places.tree>>>; options: ComputedRef<PlaceOption[]> } {
  const tree = useResource(places.tree, { live: ["tree"] });
  const options = computed(() => {
    const out: PlaceOption[] = [];
    const walk = (nodes: PlaceNode[], above: string[]): void => {
      for (const node of nodes) {
        if (node.kind !== "classroom") out.push({ key: node.key, kind: node.kind, id: node.id, label: node.label, path: [...above, node.label].join(" / "), depth: above.length, devices: node.devices, above: node.above ?? false });
        walk(node.children ?? [], [...above, node.label]);
      }
    };
    walk(buildTree(tree.data.value?.regions ?? []), []);
    return out;
  });
  return { tree, options };
}

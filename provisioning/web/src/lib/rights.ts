/** The matrix as a table that a person can read. */

import type { RoleId, RoleMatrix } from "@/api/types";

export interface RightsGroup {
  /** The noun before the dot: `devices`. */
  key: string;
  actions: { name: string; roles: Set<RoleId> }[];
}

/** Actions by noun, each with the roles that may; in the order in which the console names them first. */
export function rightsTable(matrix: RoleMatrix): RightsGroup[] {
  const groups = new Map<string, RightsGroup>();
  for (const role of matrix.roles) {
    for (const name of role.actions) {
      const key = name.split(".")[0] ?? name;
      const group = groups.get(key) ?? { key, actions: [] };
      groups.set(key, group);
      let action = group.actions.find((one) => one.name === name);
      if (!action) group.actions.push((action = { name, roles: new Set() }));
      action.roles.add(role.id);
    }
  }
  return [...groups.values()];
}

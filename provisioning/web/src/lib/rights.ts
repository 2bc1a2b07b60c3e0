/** The matrix as a table that a person can read. */

import type { RoleId, RoleMatrix } from "@/api/types";

export interface RightsGroup {
  /** What belongs together: `devices`. */
  key: string;
  actions: { name: string; roles: Set<RoleId> }[];
}

/** Which nouns stand together, in the order of the page; a noun that is new here gets a group of its own. */
const GROUPS: [string, string[]][] = [
  ["places", ["overview", "tree", "regions", "schools", "classrooms", "roster", "lines", "authors"]],
  ["devices", ["devices", "health", "commands", "clones"]],
  ["enrolment", ["tickets", "claims"]],
  ["lessons", ["lessons", "reviews", "pushes", "packs"]],
  ["operations", ["fleet", "bandwidth", "alerts", "incidents", "maintenance", "notifications", "orders", "walls", "order_slas", "parts", "assets", "areas", "inspections", "reports"]],
  ["teaching", ["timetables", "calendars", "technician_pin", "plans", "readiness", "usage", "exams", "faults", "notices"]],
  ["safety", ["security", "users", "audit", "trust", "system"]],
  ["account", ["account"]],
];

/** Actions in groups, each with the roles that may. */
export function rightsTable(matrix: RoleMatrix): RightsGroup[] {
  const groups = new Map<string, RightsGroup>();
  for (const role of matrix.roles) {
    for (const name of role.actions) {
      const noun = name.split(".")[0] ?? name;
      const key = GROUPS.find(([, nouns]) => nouns.includes(noun))?.[0] ?? noun;
      const group = groups.get(key) ?? { key, actions: [] };
      groups.set(key, group);
      let action = group.actions.find((one) => one.name === name);
      if (!action) group.actions.push((action = { name, roles: new Set() }));
      action.roles.add(role.id);
    }
  }
  const place = (key: string): number => (GROUPS.findIndex(([known]) => known === key) + GROUPS.length + 1) % (GROUPS.length + 1);
  const nouns = GROUPS.flatMap(([, list]) => list);
  const order = (name: string): number => nouns.indexOf(name.split(".")[0] ?? name);
  for (const group of groups.values()) group.actions.sort((a, b) => order(a.name) - order(b.name));
  return [...groups.values()].sort((a, b) => place(a.key) - place(b.key));
}

/** Decisions of the first run that need no page: which step is shown, what a list of classrooms means, who still has to review. */

import type { LessonReview } from "@/api/catalogue";
import type { SetupStatus, SetupStepKind } from "@/api/setup";
import type { Grant, NodeRef, TreeRegion, UserRow } from "@/api/types";

export const STEPS: SetupStepKind[] = ["county", "places", "device", "lesson", "push"];
/** What one must be allowed to do to take a step. */
export const NEEDS: Record<SetupStepKind, string> = { county: "regions.write", places: "classrooms.write", device: "tickets.issue", lesson: "lessons.write", push: "pushes.write" };

/** Whether somebody with these rights can take one of the steps that are left. */
export const canGoOn = (status: SetupStatus, may: (action: string) => boolean): boolean => status.steps.some((s) => !s.done && may(NEEDS[s.step]));

/** The step that is shown: the one asked for, else the next one, else what comes after the last. */
export function shownStep(asked: unknown, status: SetupStatus): SetupStepKind | "done" {
  if (asked === "done" || STEPS.includes(asked as SetupStepKind)) return asked as SetupStepKind | "done";
  return status.next ?? "done";
}

/** The step to go back to from a page that is opened: one that the wizard led to, or one that is reached from there. */
export function awayFromSetup(before: string, to: unknown, from: unknown, step: string): string {
  if (to === "setup" || to === "overview" || to === "sign-in") return "";
  // From its last page nothing is left to go back to.
  if (from === "setup") return step === "done" ? "" : step;
  return before;
}

export interface NewRoom { code: string; name: string }

/** Classrooms as somebody writes them down, one a line: a code with a digit in it may stand before the name; without one it is counted up. */
export function roomsIn(text: string, taken: readonly string[] = []): NewRoom[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim()).filter(Boolean);
  const found = lines.map((line) => {
    const coded = /^(?=\S*\d)([A-Za-z0-9][A-Za-z0-9-]{0,38})[\s,\uFF0C]+(.+)$/.exec(line);
    return coded ? { code: coded[1]!, name: coded[2]!.trim() } : { code: "", name: line };
  });
  const used = new Set([...taken, ...found.map((room) => room.code)]);
  let n = 0;
  for (const room of found) {
    if (room.code) continue;
    do n += 1; while (used.has(String(n).padStart(2, "0")));
    room.code = String(n).padStart(2, "0");
    used.add(room.code);
  }
  return found;
}

/** Codes that stand twice in a list. */
export const codesTwice = (rooms: readonly NewRoom[]): string[] => [...new Set(rooms.map((r) => r.code).filter((code, at, all) => all.indexOf(code) !== at))];

/** What is under way in the form for schools and classrooms. */
export interface PlacesForm { more: boolean; busy: boolean; failed: boolean; /** The school that was made already; 0: none. */ school: number; way: "hand" | "file" }
/** Whether it is shown: once begun it stays until all is made, for the first room is no reason to take it away with its error. */
export const placesOpen = (rooms: number, form: PlacesForm): boolean => rooms === 0 || form.more || form.busy || form.failed || form.school > 0 || form.way === "file";

/** The nodes at which somebody may upload lessons; the whole install stands for all below it. */
export function ownersOf(grants: readonly Grant[]): NodeRef[] {
  const all = grants.filter((g) => g.role === "content_officer").map((g) => g.node);
  const root = all.find((node) => node.kind === "root");
  return root ? [root] : all.filter((node, at) => all.findIndex((one) => one.kind === node.kind && one.id === node.id) === at);
}

/** Keys of a node and of those above it: whoever holds a grant at one of them reaches it. */
function above(node: NodeRef, regions: readonly Pick<TreeRegion, "id" | "parent_id" | "schools">[]): Set<string> {
  const out = new Set(["root:"]);
  if (node.kind === "school") out.add(`school:${node.id}`);
  let at = node.kind === "region" ? node.id : node.kind === "school" ? regions.find((r) => r.schools.some((s) => s.id === node.id))?.id : null;
  while (at && !out.has(`region:${at}`)) {
    out.add(`region:${at}`);
    at = regions.find((r) => r.id === at)?.parent_id;
  }
  return out;
}

/** Addresses of a board's player that open on this computer: a board's own loopback is another machine's, unless all boards are on this one. */
export const playersHere = (urls: readonly string[], localOnly: boolean): string[] => urls.filter((url) => localOnly || !/^http:\/\/(127\.|\[::1\]|localhost)/.test(url));

const JUDGEMENTS = ["first", "second", "admit"] as const;
const LEFT: Partial<Record<LessonReview["state"], number>> = { draft: 3, returned: 3, self_checked: 3, first: 2, second: 1 };

/** How many persons have to judge a version yet; each must be another one. */
export const judgesLeft = (state: LessonReview["state"]): number => LEFT[state] ?? 0;

/** Who may still judge a version: a reviewer by role, where the lesson is, who neither brought it nor passed a step of it. */
export function judges(people: readonly UserRow[], review: Pick<LessonReview, "history" | "version" | "uploaded_by" | "owner">, regions: readonly Pick<TreeRegion, "id" | "parent_id" | "schools">[]): UserRow[] {
  const reach = above(review.owner, regions);
  const out = new Set([review.uploaded_by, ...review.history.filter((h) => h.version === review.version && (["upload", "edit", "self_check", ...JUDGEMENTS] as string[]).includes(h.step)).map((h) => h.person)].map((name) => name.toLowerCase()));
  return people.filter((one) => !one.disabled && !out.has(one.username.toLowerCase()) && one.grants.some((g) => (g.role === "reviewer" || g.role === "content_officer") && reach.has(`${g.node.kind}:${g.node.id ?? ""}`)));
}

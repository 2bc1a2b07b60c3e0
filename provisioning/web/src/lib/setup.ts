/** Decisions of the first run that need no page: which step is shown, what a list of classrooms means, who still has to review. */

import type { LessonReview } from "@/api/catalogue";
import type { SetupStatus, SetupStepKind } from "@/api/setup";
import type { UserRow } from "@/api/types";

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

const JUDGEMENTS = ["first", "second", "admit"] as const;
const LEFT: Partial<Record<LessonReview["state"], number>> = { draft: 3, returned: 3, self_checked: 3, first: 2, second: 1 };

/** How many persons have to judge a version yet; each must be another one. */
export const judgesLeft = (state: LessonReview["state"]): number => LEFT[state] ?? 0;

/** Who may still judge a version: a reviewer by role who neither brought it nor passed a step of it. */
export function judges(people: readonly UserRow[], review: Pick<LessonReview, "history" | "version" | "uploaded_by">): UserRow[] {
  const out = new Set([review.uploaded_by, ...review.history.filter((h) => h.version === review.version && (["upload", "edit", "self_check", ...JUDGEMENTS] as string[]).includes(h.step)).map((h) => h.person)].map((name) => name.toLowerCase()));
  return people.filter((one) => !one.disabled && !out.has(one.username.toLowerCase()) && one.grants.some((g) => g.role === "reviewer" || g.role === "content_officer"));
}

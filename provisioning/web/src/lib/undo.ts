/** What taking back puts back, and what it leaves alone because others have been there since. */

/** Whether it was this person who took something on. */
export const isOwn = (by: string | null | undefined, me: string | undefined): boolean => Boolean(by) && by === me;

interface Slot { date: string; number: number; lesson_id: string }
const slot = (one: Slot): string => `${one.date}#${one.number}`;

/**
 * A week's plan as it is now, with those periods put back that one change turned `before` into `after`. A period that somebody
 * has planned anew since stays as it is.
 */
export function putBack(now: readonly Slot[], before: readonly Slot[], after: readonly Slot[]): Slot[] {
  const had = new Map(before.map((one) => [slot(one), one]));
  const has = new Map(after.map((one) => [slot(one), one]));
  const ours = (one: Slot): boolean => has.get(slot(one))?.lesson_id === one.lesson_id && had.get(slot(one))?.lesson_id !== one.lesson_id;
  const kept = now.filter((one) => !ours(one)).map(({ date, number, lesson_id }) => ({ date, number, lesson_id }));
  const full = new Set(kept.map(slot));
  return [...kept, ...before.filter((one) => has.get(slot(one))?.lesson_id !== one.lesson_id && !full.has(slot(one)))];
}

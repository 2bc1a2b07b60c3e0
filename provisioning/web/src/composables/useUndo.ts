/** What was just done and can be taken back. The change is made at once; taking it back is a change of its own. */

import { ref } from "vue";

import { asProblem } from "@/api/problem";
import type { Problem } from "@/api/types";

export interface Undo {
  /** What was done, as it is said. */
  said: string;
  /** Does the opposite. */
  back: () => Promise<unknown>;
  /** Afterwards, e.g. to look again. */
  after?: () => void;
}
export interface Offer extends Undo {
  leftMs: number;
  busy: boolean;
  /** Why it could not be taken back. */
  problem: Problem | null;
}

/** So long may one think better of it. Whoever points at the bar has all the time. */
export const UNDO_MS = 10_000;
/** One at a time: the newest. */
export const offer = ref<Offer | null>(null);

export function offerUndo(undo: Undo): void {
  offer.value = { ...undo, leftMs: UNDO_MS, busy: false, problem: null };
}

/** Time passes; what failed stays until somebody has read it. */
export function passUndo(ms: number): void {
  const now = offer.value;
  if (!now || now.busy || now.problem) return;
  now.leftMs -= ms;
  if (now.leftMs <= 0) offer.value = null;
}

export function letGo(): void {
  offer.value = null;
}

/** Takes it back, once; whether it did. */
export async function undoNow(): Promise<boolean> {
  const now = offer.value;
  if (!now || now.busy) return false;
  now.busy = true;
  now.problem = null;
  try {
    await now.back();
    if (offer.value === now) offer.value = null;
    now.after?.();
    return true;
  } catch (cause) {
    now.problem = asProblem(cause);
    now.busy = false;
    offer.value = now; // somebody has to read it, also when something else was done meanwhile
    return false;
  }
}

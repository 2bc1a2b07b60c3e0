import { ElMessage } from "element-plus";
import { ref, shallowRef, type Ref, type ShallowRef } from "vue";

import { asProblem } from "@/api/problem";
import type { Problem } from "@/api/types";
import { offerUndo } from "./useUndo";

/** How a change is taken back, when it can be. */
export interface Back<T> {
  undo: (value: T) => Promise<unknown>;
  /** Whether it is this person's to take back, by what the console answered; left out: always. */
  when?: (value: T) => boolean;
  /** What is said in place of success when it is not. */
  otherwise?: string;
  after?: () => void;
}

/**
 * One change at a time: what it did is said, with the way back where there is one; why it failed stays on the page. `run` gives
 * what the console answered, or nothing.
 */
export function useAct(): { busy: Ref<boolean>; problem: ShallowRef<Problem | null>; run: <T>(act: () => Promise<T>, said?: string, back?: Back<T>) => Promise<{ value: T } | null> } {
  const busy = ref(false);
  const problem = shallowRef<Problem | null>(null);
  async function run<T>(act: () => Promise<T>, said?: string, back?: Back<T>): Promise<{ value: T } | null> {
    if (busy.value) return null;
    busy.value = true;
    problem.value = null;
    try {
      const value = await act();
      if (said && back && (back.when?.(value) ?? true)) offerUndo({ said, back: () => back.undo(value), after: back.after });
      else if (said && back?.otherwise !== undefined) ElMessage.info(back.otherwise);
      else if (said) ElMessage.success(said);
      return { value };
    } catch (cause) {
      problem.value = asProblem(cause);
      return null;
    } finally {
      busy.value = false;
    }
  }
  return { busy, problem, run };
}

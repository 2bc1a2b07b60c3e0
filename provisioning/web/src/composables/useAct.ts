import { ElMessage } from "element-plus";
import { ref, shallowRef, type Ref, type ShallowRef } from "vue";

import { asProblem } from "@/api/problem";
import type { Problem } from "@/api/types";

/** One change at a time: what it did is said, why it failed stays on the page. `run` gives what the console answered, or nothing. */
export function useAct(): { busy: Ref<boolean>; problem: ShallowRef<Problem | null>; run: <T>(act: () => Promise<T>, said?: string) => Promise<{ value: T } | null> } {
  const busy = ref(false);
  const problem = shallowRef<Problem | null>(null);
  async function run<T>(act: () => Promise<T>, said?: string): Promise<{ value: T } | null> {
    if (busy.value) return null;
    busy.value = true;
    problem.value = null;
    try {
      const value = await act();
      if (said) ElMessage.success(said);
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

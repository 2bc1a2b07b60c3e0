import { onScopeDispose, ref, shallowRef, type Ref, type ShallowRef } from "vue";

import { onLive, type LiveKind } from "@/api/events";
import { asProblem } from "@/api/problem";
import type { Problem } from "@/api/types";

export interface Resource<T> {
  data: ShallowRef<T | null>;
  /** Why the last attempt failed; what was there before stays on the page. */
  problem: ShallowRef<Problem | null>;
  /** Nothing to show yet. */
  loading: Ref<boolean>;
  /** An attempt is under way, first or not. */
  busy: Ref<boolean>;
  reload: () => Promise<void>;
}

/** Fetches now, again on `reload`, and again when one of the live kinds changes. The newest answer wins. */
export function useResource<T>(
  fetch: () => Promise<T>,
  options: {
    live?: LiveKind[];
    id?: () => string;
    everyMs?: number;
    immediate?: boolean;
    /** False when the person may not ask at all: then nothing is fetched, ever, and nothing is loading. */
    when?: boolean;
  } = {},
): Resource<T> {
  const data = shallowRef<T | null>(null);
  const problem = shallowRef<Problem | null>(null);
  const allowed = options.when !== false;
  const loading = ref(allowed);
  const busy = ref(false);
  let turn = 0;

  async function reload(): Promise<void> {
    if (!allowed) return;
    const mine = ++turn;
    busy.value = true;
    try {
      const found = await fetch();
      if (mine !== turn) return;
      data.value = found;
      problem.value = null;
    } catch (cause) {
      if (mine !== turn) return;
      problem.value = asProblem(cause);
    }
    loading.value = false;
    busy.value = false;
  }

  onScopeDispose(() => {
    turn += 1;
  });
  if (options.live) onLive(options.live, () => void reload(), { id: options.id, everyMs: options.everyMs });
  if (options.immediate !== false) void reload();
  return { data, problem, loading, busy, reload };
}

import { computed, onScopeDispose, ref, type ComputedRef } from "vue";

/** Counts whole seconds down to zero. */
export function useCountdown(): { left: ComputedRef<number>; start: (seconds: number) => void } {
  const until = ref(0);
  const at = ref(Date.now());
  const left = computed(() => Math.max(0, Math.ceil((until.value - at.value) / 1000)));
  let timer: ReturnType<typeof setInterval> | undefined;
  function start(seconds: number): void {
    at.value = Date.now();
    until.value = at.value + seconds * 1000;
    clearInterval(timer);
    timer = setInterval(() => {
      at.value = Date.now();
      if (left.value === 0) clearInterval(timer);
    }, 250);
  }
  onScopeDispose(() => clearInterval(timer));
  return { left, start };
}

import { computed, type ComputedRef } from "vue";

import { security } from "@/api";
import { may } from "./useRights";
import { useResource } from "./useResource";

/** How many security events nobody has looked at, for the badge of the menu. */
export function useOpenEvents(): ComputedRef<number> {
  const open = useResource(() => security.list(true), { live: ["security"], everyMs: 2_000, when: may("security.read") });
  return computed(() => open.data.value?.length ?? 0);
}

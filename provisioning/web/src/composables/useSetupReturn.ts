import { ref } from "vue";
import type { Router } from "vue-router";

import { awayFromSetup } from "@/lib/setup";

/** Which step of the wizard is open, or was left for a page that it led to; empty if there is no way to go back. */
const KEY = "bbt-setup-away";
let step = "";
export const leftAt = ref(sessionStorage.getItem(KEY) ?? "");

export function atStep(now: string): void {
  step = now;
}

/** Remembers, in this tab alone, that one came by the wizard. */
export function watchSetup(router: Router): void {
  router.afterEach((to, from) => {
    leftAt.value = awayFromSetup(leftAt.value, to.name, from.name, step);
    if (leftAt.value) sessionStorage.setItem(KEY, leftAt.value);
    else sessionStorage.removeItem(KEY);
  });
}

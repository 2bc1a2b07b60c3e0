import { ref } from "vue";

/** The time, ticking slowly, so that "3 minutes ago" stays true on a page that is left open. */
export const now = ref(Date.now());
setInterval(() => {
  now.value = Date.now();
}, 10_000);

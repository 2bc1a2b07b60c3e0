import type { Directive } from "vue";

/** `v-focus`: the field in this element is ready to be typed into as soon as it is there, also if it came late (`autofocus` is for the first page only). */
export const vFocus: Directive<HTMLElement> = {
  mounted: (el) => (el.matches("input, textarea") ? el : el.querySelector<HTMLElement>("input, textarea"))?.focus({ preventScroll: true }),
};

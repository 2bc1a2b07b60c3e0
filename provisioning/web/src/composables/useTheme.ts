import { ref, watchEffect } from "vue";

const KEY = "bbt-theme";
const saved = localStorage.getItem(KEY);

export const dark = ref(saved === "dark");

watchEffect(() => {
  document.documentElement.classList.toggle("dark", dark.value);
  localStorage.setItem(KEY, dark.value ? "dark" : "light");
});

/** A colour of the theme as the browser has it now, for drawings on a canvas. */
export function cssColour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

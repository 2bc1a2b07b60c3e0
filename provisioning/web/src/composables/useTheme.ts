import { ref, watch } from "vue";

const KEY = "bbt-theme"; // also read by public/theme.js, before the first paint
const system = window.matchMedia("(prefers-color-scheme: dark)");
const chosen = (): boolean => localStorage.getItem(KEY) !== null;

/** As this browser was told once; before that, as its system is. */
export const dark = ref(chosen() ? localStorage.getItem(KEY) === "dark" : system.matches);
const show = (): void => void document.documentElement.classList.toggle("dark", dark.value);

show();
watch(dark, show);
system.addEventListener("change", () => {
  if (!chosen()) dark.value = system.matches;
});
/** Light or dark, as somebody wants it from now on. */
export function toggleTheme(): void {
  dark.value = !dark.value;
  localStorage.setItem(KEY, dark.value ? "dark" : "light");
}
// Pale words on white paper cannot be read.
window.addEventListener("beforeprint", () => document.documentElement.classList.remove("dark"));
window.addEventListener("afterprint", show);

/** A colour of the theme as the browser has it now, for drawings on a canvas. */
export function cssColour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

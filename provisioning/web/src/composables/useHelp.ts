import { ref } from "vue";

/** Whether the help of the page that one is on is shown. */
export const helping = ref(false);

/** Whether a key that was pressed goes into a text, where `?` and Ctrl-Z are the text's own. */
export function isTyping(event: KeyboardEvent): boolean {
  const at = event.target;
  return event.isComposing || (at instanceof HTMLElement && (at.isContentEditable || at.matches("input, textarea, select")));
}

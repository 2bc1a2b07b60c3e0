import { computed, shallowRef, type ComputedRef } from "vue";

import { catalogue, type Vocabulary } from "@/api/catalogue";

const found = shallowRef<Vocabulary[]>([]);
let asked: Promise<void> | null = null;

/** The controlled words of one field, e.g. `subject`; empty until the console has told them. Asked for once. */
export function useWords(field: string): ComputedRef<string[]> {
  asked ??= catalogue
    .words()
    .then((words) => {
      found.value = words;
    })
    .catch(() => {
      asked = null; // the form still takes what is typed; the console judges it
    });
  return computed(() => found.value.find((v) => v.field === field)?.words.map((w) => w.word) ?? []);
}

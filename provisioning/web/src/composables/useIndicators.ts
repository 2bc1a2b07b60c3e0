import { useI18n } from "vue-i18n";

import { reports as api, type Indicator } from "@/api/reports";
import { useResource, type Resource } from "./useResource";

type Dictionary = Awaited<ReturnType<typeof api.dictionary>>;

/** The dictionary of figures, in the reader's language. */
export function useIndicators(): { dictionary: Resource<Dictionary>; indicator: (id: string) => Indicator | undefined; title: (id: string) => string; reason: (id: string) => string } {
  const { locale } = useI18n();
  const dictionary = useResource(api.dictionary);
  const named = (one: { zh: string; en: string } | undefined, id: string): string => (one ? (locale.value === "en" ? one.en : one.zh) : id);
  const indicator = (id: string) => dictionary.data.value?.indicator.find((i) => i.id === id);
  return { dictionary, indicator, title: (id) => named(indicator(id), id), reason: (id) => named(dictionary.data.value?.reason.find((r) => r.id === id), id) };
}

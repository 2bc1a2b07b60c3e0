import { ref } from "vue";
import { createI18n } from "vue-i18n";

import en from "./locales/en";
import zhCN from "./locales/zh-CN";

export const LANGUAGES = ["zh-CN", "en"] as const;
export type Language = (typeof LANGUAGES)[number];

const KEY = "bbt-language";

const isLanguage = (value: unknown): value is Language => LANGUAGES.includes(value as Language);

const saved = localStorage.getItem(KEY);
/** Whether the operator chose in this browser; then the account's language does not override it. */
export const languageChosen = ref(isLanguage(saved));

export const i18n = createI18n({
  legacy: false,
  locale: isLanguage(saved) ? saved : "zh-CN",
  fallbackLocale: "zh-CN",
  messages: { "zh-CN": zhCN, en },
});

export const currentLanguage = (): Language => i18n.global.locale.value as Language;

export function setLanguage(language: string, chosen = true): void {
  if (!isLanguage(language)) return;
  i18n.global.locale.value = language;
  document.documentElement.lang = language;
  if (chosen) {
    localStorage.setItem(KEY, language);
    languageChosen.value = true;
  }
}
document.documentElement.lang = currentLanguage();

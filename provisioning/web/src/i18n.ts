import { ref } from "vue";
import { createI18n } from "vue-i18n";

import { wordAt } from "./lib/words";
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
  messageResolver: wordAt,
  messages: { "zh-CN": zhCN, en: {} as typeof zhCN },
});

export const currentLanguage = (): Language => i18n.global.locale.value as Language;

/** The other language comes when it is first spoken. */
async function learn(language: Language): Promise<void> {
  if (language === "en" && !i18n.global.te("app.name", "en")) i18n.global.setLocaleMessage("en", (await import("./locales/en")).default as typeof zhCN);
}
/** What has to be there before the first word. */
export const spoken = learn(currentLanguage());

export async function setLanguage(language: string, chosen = true): Promise<void> {
  if (!isLanguage(language)) return;
  await learn(language);
  i18n.global.locale.value = language;
  document.documentElement.lang = language;
  if (chosen) {
    localStorage.setItem(KEY, language);
    languageChosen.value = true;
  }
}
document.documentElement.lang = currentLanguage();

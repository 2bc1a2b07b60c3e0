import { useI18n } from "vue-i18n";

/** What the console's own command line writes where a person's name stands. */
const CLI = /^(bbt-console \(command line\)|cli:)/;

/** Who did something, for eyes: a name, or what was no person's hand. */
export function useWho(): (name: string | null | undefined) => string {
  const { t } = useI18n();
  return (name) => (name && CLI.test(name) ? t("actorKind.cli") : (name ?? ""));
}

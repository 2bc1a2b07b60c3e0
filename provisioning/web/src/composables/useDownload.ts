/** Links with `download`: fetched here, so that a refusal is said in words and with its request id. */

import { onBeforeUnmount, onMounted, ref } from "vue";

import { asProblem } from "@/api/problem";
import type { Problem } from "@/api/types";
import { currentLanguage } from "@/i18n";
import { saveBlob } from "@/lib/disk";
import { fetchFile, isFetched } from "@/lib/download";

/** Why the last file did not come. */
export const missed = ref<Problem | null>(null);
const underWay = new Set<string>();

async function save(link: HTMLAnchorElement): Promise<void> {
  const { href, download } = link;
  // One press more does not ask for the same file twice.
  if (underWay.has(href)) return;
  underWay.add(href);
  missed.value = null;
  try {
    const file = await fetchFile(href, currentLanguage());
    saveBlob(download || file.name, file.blob);
  } catch (cause) {
    missed.value = asProblem(cause);
  }
  underWay.delete(href);
}

function clicked(event: MouseEvent): void {
  const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>("a[download][href]") : null;
  // With a key held down the browser does something of its own.
  if (!link || event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  if (!isFetched(link, location.origin)) return;
  event.preventDefault();
  void save(link);
}

export function useDownload(): void {
  onMounted(() => document.addEventListener("click", clicked));
  onBeforeUnmount(() => document.removeEventListener("click", clicked));
}

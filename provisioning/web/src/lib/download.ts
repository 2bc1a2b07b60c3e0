/** Files that a link saves. The browser alone would say only "failed" where the console says why, and under which id. */

import { ProblemError, readProblem, unreachable } from "@/api/problem";

/** Backups, packs, evidence with photos and whole logs go to the disk as they come: they are too big to be held first. */
const BIG = /^\/api\/v1\/(packs\/|backups\/|audit\/export|order-evidence|schools\/\d+\/bandwidth-evidence|reports\/\d+\/|registers\/|catalogue\/)/;

/** Whether a link leads to a file of the console that is fetched here. */
export const isFetched = (link: { origin: string; pathname: string }, here: string): boolean => link.origin === here && link.pathname.startsWith("/api/v1/") && !BIG.test(link.pathname);

/** The name that the console gave a file, else the end of its address. */
export function fileName(disposition: string | null, path: string): string {
  const coded = /filename\*=UTF-8''([^;]+)/i.exec(disposition ?? "")?.[1];
  if (coded) {
    try {
      return decodeURIComponent(coded.trim());
    } catch {
      // Badly coded: the plain name beside it will do.
    }
  }
  return /filename="?([^";]+)"?/i.exec(disposition ?? "")?.[1]?.trim() || path.split("/").filter(Boolean).pop() || "file";
}

/** The file behind an address; what the console refuses is thrown with its words and its id. */
export async function fetchFile(url: string, language: string, get: typeof fetch = fetch): Promise<{ name: string; blob: Blob }> {
  let answer: Response;
  try {
    answer = await get(url, { credentials: "same-origin", headers: { "Accept-Language": language } });
    if (answer.ok) return { name: fileName(answer.headers.get("content-disposition"), new URL(url).pathname), blob: await answer.blob() };
  } catch (cause) {
    throw unreachable(cause);
  }
  const text = await answer.text().catch(() => "");
  let body: unknown = text;
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy's page, perhaps; readProblem copes with plain text.
  }
  throw new ProblemError(readProblem(answer.status, body, answer.headers.get("x-request-id")));
}

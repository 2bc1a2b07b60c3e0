/** The one HTTP client: session cookie, the page's language, one shape of error. */

import createClient from "openapi-fetch";

import { currentLanguage } from "@/i18n";
import { ProblemError, readProblem, unreachable } from "./problem";
import type { paths } from "./schema";

/** Called when the console says that nobody is signed in any more. */
let onSignedOut: () => void = () => {};
export function whenSignedOut(callback: () => void): void {
  onSignedOut = callback;
}

export const client = createClient<paths>({
  baseUrl: `${window.location.origin}/api/v1`,
  credentials: "same-origin",
  fetch: async (request: Request) => {
    try {
      return await fetch(request);
    } catch (cause) {
      throw unreachable(cause);
    }
  },
});

client.use({
  onRequest({ request }: { request: Request }) {
    request.headers.set("Accept-Language", currentLanguage());
    return request;
  },
});

export interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of a successful answer; anything else is thrown as a {@link ProblemError}. */
export async function ask<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (response.ok) return data as T;
  const problem = readProblem(response.status, error, response.headers.get("x-request-id"));
  const wait = Number(response.headers.get("retry-after"));
  if (wait > 0) problem.retry_after_s = wait;
  // A wrong password of one's own (in the account page, say) is a 401 as well, and ends nothing.
  if (problem.code === "not_signed_in" && !response.url.endsWith("/session")) onSignedOut();
  throw new ProblemError(problem);
}

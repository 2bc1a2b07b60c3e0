/** Sending files. `fetch` cannot say how much of a body has left, so these calls use XMLHttpRequest. */

import { currentLanguage } from "@/i18n";
import { ProblemError, readProblem, unreachable } from "./problem";
import type { LessonMeta, NodeRef, Place, Uploaded } from "./types";

export interface Sending<T> {
  done: Promise<T>;
  /** Stops it; `done` then fails with code `cancelled`. */
  abort: () => void;
}
export type Upload = Sending<Uploaded>;

/** Posts a form and tells how much of it has left. */
export function send<T>(path: string, form: FormData, onProgress: (sent: number, total: number) => void): Sending<T> {
  const request = new XMLHttpRequest();
  const done = new Promise<T>((resolve, reject) => {
    request.open("POST", path);
    request.setRequestHeader("Accept-Language", currentLanguage());
    request.upload.onprogress = (event) => onProgress(event.loaded, event.total);
    request.onload = () => {
      let body: unknown = request.responseText;
      try {
        body = JSON.parse(request.responseText);
      } catch {
        // A proxy's HTML page, perhaps; readProblem copes with plain text.
      }
      if (request.status >= 200 && request.status < 300) resolve(body as T);
      else reject(new ProblemError(readProblem(request.status, body, request.getResponseHeader("x-request-id"))));
    };
    request.onerror = () => reject(unreachable("the connection broke while sending"));
    request.onabort = () =>
      reject(new ProblemError({ status: 0, code: "cancelled", message: "", detail: "", request_id: "" }));
    request.send(form);
  });
  return { done, abort: () => request.abort() };
}

/** A node as a lesson's owner. */
const placeOf = (node: NodeRef): Place => (node.kind === "region" ? { region_id: node.id } : node.kind === "school" ? { school_id: node.id } : {});

export function uploadLesson(
  id: string | undefined,
  meta: LessonMeta,
  files: File[],
  transcode: boolean,
  /** Whose a new lesson is, for who uploads at several nodes. */
  owner: NodeRef | undefined,
  onProgress: (sent: number, total: number) => void,
): Upload {
  const form = new FormData();
  form.append("meta", new Blob([JSON.stringify({ id, meta, transcode, ...(owner ? { owner: placeOf(owner) } : {}) })], { type: "application/json" }));
  for (const file of files) form.append("file", file, file.name);
  return send<Uploaded>("/api/v1/lessons", form, onProgress);
}

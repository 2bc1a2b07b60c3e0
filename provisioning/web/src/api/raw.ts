/** One call by its path: for shapes that are named by hand. */

import { ask, client, type Answer } from "./client";
import { set } from "./query";

type Method = "get" | "post" | "put" | "patch" | "delete";

/** What `path` answers; `query` without what is not set. */
export function call<T>(method: Method, path: string, options: { query?: object; body?: unknown } = {}): Promise<T> {
  const { query, body } = options;
  const request = client.request as unknown as (method: Method, path: string, init: object) => Promise<Answer<T>>;
  return ask<T>(request(method, path, { ...(query ? { params: { query: set(query) } } : {}), ...(body === undefined ? {} : { body }) }));
}

/** The address of a file that the browser itself fetches. */
export function fileUrl(path: string, query: object = {}): string {
  const text = new URLSearchParams(Object.entries(set(query)).map(([key, value]) => [key, String(value)])).toString();
  return `/api/v1${path}${text ? `?${text}` : ""}`;
}

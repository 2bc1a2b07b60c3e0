/** Saved views of the pages' lists. */

import { call } from "./raw";
import type { components } from "./schema";

type Schemas = components["schemas"];
export type SavedView = Schemas["View"];
export type ViewBody = Schemas["ViewBody"];

export const views = {
  list: (list: string) => call<Schemas["ViewList"]>("get", "/views", { query: { list } }).then((found) => found.items),
  create: (list: string, body: ViewBody) => call<SavedView>("post", "/views", { body: { list, ...body } }),
  change: (id: number, body: ViewBody) => call<SavedView>("put", `/views/${id}`, { body }),
  remove: (id: number) => call<void>("delete", `/views/${id}`),
};

/** Saved views of the pages' lists. */

import { call } from "./raw";

/** As `View` of the console's document. */
export interface SavedView {
  id: number;
  list: string;
  name: string;
  query: string;
  columns: string[];
  mine: boolean;
  owner: string;
  shared: boolean;
  region_id?: number | null;
  school_id?: number | null;
  place?: string | null;
  updated_at: string;
}
export interface ViewBody {
  name: string;
  query: string;
  columns: string[];
  shared: boolean;
  region_id?: number | null;
  school_id?: number | null;
}

export const views = {
  list: (list: string) => call<{ items: SavedView[] }>("get", "/views", { query: { list } }).then((found) => found.items),
  create: (list: string, body: ViewBody) => call<SavedView>("post", "/views", { body: { list, ...body } }),
  change: (id: number, body: ViewBody) => call<SavedView>("put", `/views/${id}`, { body }),
  remove: (id: number) => call<void>("delete", `/views/${id}`),
};

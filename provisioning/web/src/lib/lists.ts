/** What a list shows, as a page's query string and back. The address is the whole truth: a link leads to the same rows. */

/** One column of a list. */
export interface ListColumn {
  key: string;
  /** Key of its heading in the catalogues. */
  label: string;
  /** By what name the console sorts by it; without: it does not. */
  sort?: string;
  /** The first click sorts downwards: the hottest, the newest. */
  down?: boolean;
  /** The console knows this order one way only. */
  once?: boolean;
  /** Only shown when asked for. */
  extra?: boolean;
  /** Shown by itself only where there is room. */
  roomy?: boolean;
  /** Cannot be hidden: without it a row says nothing. */
  always?: boolean;
  /** In pixels. */
  width?: number;
  /** Takes what room is left, not less than this. */
  min?: number;
  align?: "right";
}

/** Names that the address uses for the list itself; no filter may be called so. */
export const OWN_KEYS = ["sort", "page", "size", "cols"] as const;
/** Rows a page. */
export const SIZES = [50, 100, 200, 500] as const;

export interface ListSpec<F extends Record<string, string>> {
  /** Filters and what they are when nobody touched them. */
  filters: F;
  columns: readonly ListColumn[];
  /** The order when nobody chose one: `name` or `-name`; empty: the console's own. */
  sort?: string;
  size?: number;
}

export interface ListState<F extends Record<string, string>> {
  filter: F;
  sort: string;
  page: number;
  size: number;
  /** Chosen columns; none: the usual ones. */
  columns: string[] | null;
}

/** A query as a router gives it. */
export type Query = Record<string, string | null | undefined | (string | null)[]>;

const one = (value: Query[string]): string | undefined => {
  const first = Array.isArray(value) ? value[0] : value;
  return first === null ? "" : first;
};

/** All orders that a list knows, both ways. */
const orders = (columns: readonly ListColumn[]): string[] => columns.flatMap((c) => (!c.sort ? [] : c.once ? [c.sort] : [c.sort, `-${c.sort}`]));

/** What an address asks for; what it does not know is as if it were not there. */
export function readList<F extends Record<string, string>>(spec: ListSpec<F>, query: Query): ListState<F> {
  const filter = { ...spec.filters };
  for (const key of Object.keys(filter) as (keyof F & string)[]) {
    const value = one(query[key]);
    if (value !== undefined) filter[key] = value as F[typeof key];
  }
  const sort = one(query.sort);
  const page = Number(one(query.page));
  const size = Number(one(query.size));
  const columns = one(query.cols)?.split(",").filter((key) => spec.columns.some((c) => c.key === key));
  return {
    filter,
    sort: sort !== undefined && (sort === "" || orders(spec.columns).includes(sort)) ? sort : (spec.sort ?? ""),
    page: Number.isInteger(page) && page > 0 ? page : 1,
    size: SIZES.find((known) => known === size) ?? spec.size ?? SIZES[0],
    columns: columns?.length ? columns : null,
  };
}

/** The address of a state: only what differs from the usual, in a fixed order, so that equal states are equal texts. */
export function writeList<F extends Record<string, string>>(spec: ListSpec<F>, state: ListState<F>): Record<string, string> {
  const query: Record<string, string> = {};
  for (const key of Object.keys(spec.filters) as (keyof F & string)[]) {
    const value = (state.filter[key] ?? "").trim();
    if (value !== spec.filters[key]) query[key] = value;
  }
  if (state.sort !== (spec.sort ?? "")) query.sort = state.sort;
  if (state.page > 1) query.page = String(state.page);
  if (state.size !== (spec.size ?? SIZES[0])) query.size = String(state.size);
  if (state.columns) query.cols = state.columns.join(",");
  return query;
}

/** Keys of `query` that are the list's; the others belong to the page. */
export function isListKey<F extends Record<string, string>>(spec: ListSpec<F>, key: string): boolean {
  return key in spec.filters || (OWN_KEYS as readonly string[]).includes(key);
}

/** A view remembers filters and order; page, size and columns are kept apart from it. */
export function viewText<F extends Record<string, string>>(spec: ListSpec<F>, state: ListState<F>): string {
  return new URLSearchParams(writeList(spec, { ...state, page: 1, size: spec.size ?? SIZES[0], columns: null })).toString();
}

/** A saved view's text as a query. */
export function viewQuery(text: string): Query {
  return Object.fromEntries(new URLSearchParams(text));
}

/** Columns that are shown without a choice. */
export function usualColumns(columns: readonly ListColumn[], roomy: boolean): string[] {
  return columns.filter((c) => !c.extra && (roomy || !c.roomy)).map((c) => c.key);
}

/** The columns of a choice, in the list's own order; those that cannot be hidden are always among them. */
export function chosenColumns(columns: readonly ListColumn[], choice: readonly string[]): ListColumn[] {
  return columns.filter((c) => c.always || choice.includes(c.key));
}

/** What a click on a heading asks for: first its own direction, then the other, then none. */
export function nextSort(column: ListColumn, now: string): string {
  if (!column.sort) return now;
  if (column.once) return now === column.sort ? "" : column.sort;
  const [first, second] = column.down ? [`-${column.sort}`, column.sort] : [column.sort, `-${column.sort}`];
  return now === first ? second : now === second ? "" : first;
}

/** How a column is sorted at the moment, in the words of `aria-sort`. */
export function sortOf(column: ListColumn, now: string): "ascending" | "descending" | "none" {
  return column.sort && now === column.sort ? "ascending" : column.sort && now === `-${column.sort}` ? "descending" : "none";
}

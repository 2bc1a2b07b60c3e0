import { computed, reactive, shallowReactive, watch, type ComputedRef, type WritableComputedRef } from "vue";
import { useRoute, useRouter } from "vue-router";

import type { LiveKind } from "@/api/events";
import { chosenColumns, isListKey, readList, usualColumns, viewText, writeList, type ListColumn, type ListSpec, type ListState, type Query } from "@/lib/lists";
import { useResource, type Resource } from "./useResource";
import { wide } from "./useWide";

export interface Rows<Row> { items: Row[]; total: number }
export interface Asked<F> { filter: F; sort: string; page: number; page_size: number }

export interface List<Row extends object = object, F extends Record<string, string> = Record<string, string>> {
  name: string;
  spec: ListSpec<F>;
  /** Bound to the page's inputs; every change goes to the address and to the console. */
  filter: F;
  state: ListState<F>;
  rows: Resource<Rows<Row>>;
  items: ComputedRef<Row[]>;
  total: ComputedRef<number>;
  /** Whether any filter differs from the usual. */
  filtered: ComputedRef<boolean>;
  shown: ComputedRef<ListColumn[]>;
  /** Filters and order as a text, for a saved view. */
  text: ComputedRef<string>;
  choose: (columns: string[] | null) => void;
  orderBy: (by: string) => void;
  turn: (page: number) => void;
  resize: (rows: number) => void;
  clear: () => void;
  apply: (query: Query, columns?: string[]) => void;
  /** Rows that were ticked, also of other pages. */
  ticked: Map<string, Row>;
}

const TYPING_MS = 300;
const kept = (name: string): string => `bbt-columns-${name}`;
function remembered(name: string, columns: readonly ListColumn[]): string[] | null {
  try {
    const found = (JSON.parse(localStorage.getItem(kept(name)) ?? "null") as unknown) ?? null;
    const known = Array.isArray(found) ? found.filter((key) => columns.some((c) => c.key === key)) : [];
    return known.length ? (known as string[]) : null;
  } catch {
    return null;
  }
}

/**
 * A list whose filters, order, page and columns stand in the address: a link leads to the same rows, and back leads back.
 * `texts` names the filters that somebody types, which wait a moment.
 */
export function useList<Row extends object, F extends Record<string, string>>(
  name: string,
  spec: ListSpec<F>,
  fetch: (asked: Asked<F>) => Promise<Rows<Row>>,
  options: { live?: LiveKind[]; everyMs?: number; texts?: (keyof F & string)[]; when?: boolean } = {},
): List<Row, F> {
  const route = useRoute();
  const router = useRouter();
  const here = route.path;
  const begin = readList(spec, route.query);
  const state = reactive({ ...begin, columns: begin.columns ?? remembered(name, spec.columns) }) as ListState<F>;
  const filter = state.filter;
  const plain = (): F => plainOf(filter) as F;
  const address = computed(() => writeList(spec, { ...state, filter: plain() }));
  const rows = useResource(() => fetch({ filter: plain(), sort: state.sort, page: state.page, page_size: state.size }), { live: options.live, everyMs: options.everyMs, when: options.when });

  let typing: ReturnType<typeof setTimeout> | undefined;
  let asked = JSON.stringify({ ...address.value, cols: "" });
  watch(() => JSON.stringify(plain()) + state.sort + state.size, () => (state.page = 1), { flush: "sync" });
  watch(address, (now, before) => {
    clearTimeout(typing);
    const typed = options.texts?.some((key) => now[key] !== before[key]);
    typing = setTimeout(() => {
      if (route.path !== here) return;
      const others = Object.fromEntries(Object.entries(route.query).filter(([key]) => !isListKey(spec, key)));
      void router.replace({ query: { ...others, ...now }, hash: route.hash });
      const fresh = JSON.stringify({ ...now, cols: "" });
      if (fresh !== asked) void rows.reload();
      asked = fresh;
    }, typed ? TYPING_MS : 0);
  });
  /** The address changed by other hands: the menu, a link, the way back. */
  watch(() => route.query, (query) => {
    if (route.path !== here) return;
    const wanted = readList(spec, query);
    if (JSON.stringify(writeList(spec, wanted)) === JSON.stringify(address.value)) return;
    Object.assign(filter, wanted.filter);
    Object.assign(state, { sort: wanted.sort, size: wanted.size, columns: wanted.columns ?? state.columns });
    state.page = wanted.page;
  });

  function choose(columns: string[] | null): void {
    state.columns = columns;
    if (columns) localStorage.setItem(kept(name), JSON.stringify(columns));
    else localStorage.removeItem(kept(name));
  }
  return {
    name,
    spec,
    filter,
    state,
    rows,
    items: computed(() => rows.data.value?.items ?? []),
    total: computed(() => rows.data.value?.total ?? 0),
    filtered: computed(() => Object.entries(plain()).some(([key, value]) => value !== spec.filters[key])),
    shown: computed(() => chosenColumns(spec.columns, state.columns ?? usualColumns(spec.columns, wide.value))),
    text: computed(() => viewText(spec, { ...state, filter: plain() })),
    choose,
    orderBy: (by) => (state.sort = by),
    turn: (page) => (state.page = page),
    resize: (rows) => (state.size = rows),
    clear: () => Object.assign(filter, spec.filters),
    apply: (query, columns) => {
      const wanted = readList(spec, query);
      Object.assign(filter, wanted.filter);
      state.sort = wanted.sort;
      state.page = 1;
      if (columns) choose(columns.length ? columns : null);
    },
    ticked: shallowReactive(new Map<string, Row>()),
  };
}

/** Inputs that are emptied may hand over nothing at all instead of an empty text. */
const plainOf = (filter: Record<string, string>): Record<string, string> => Object.fromEntries(Object.entries(filter).map(([key, value]) => [key, (value ?? "").trim()]));

/** A filter that is on or off, as a tick. */
export function useFlag<K extends string>(filter: Record<K, string>, key: K): WritableComputedRef<boolean> {
  return computed({ get: () => filter[key] === "1", set: (on) => (filter[key] = on ? "1" : "") });
}

/** Leaves out what is not set, so that an empty filter is no filter. */
export function set<T extends object>(query: T): T {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "")) as T;
}

type Found = string | null | { [name: string]: Found };

/**
 * A word of a catalogue by its path, of what stands in it alone. What every object has (`constructor`, `valueOf`) is no word: a board may send
 * it as its reason, and the page that asks for a sentence to it must show it, not break over it.
 */
export function wordAt(catalogue: unknown, path: string): Found {
  let at = catalogue;
  for (const name of path.split(".")) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) return null;
    at = (at as Record<string, unknown>)[name];
  }
  return (at ?? null) as Found;
}

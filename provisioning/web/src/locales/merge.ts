/** A catalogue is one file per area (`people.ts`, `audit.ts` …); a new file in the folder joins by itself. */

export type Words = { [key: string]: string | Words };

/** Joins the areas. Two areas may write under the same heading, never the same sentence: the later would win unseen. */
export function merge(areas: Words[]): Words {
  const all: Words = {};
  const add = (into: Words, from: Words, path: string): void => {
    for (const [key, value] of Object.entries(from)) {
      const there = into[key];
      if (there === undefined) into[key] = typeof value === "string" ? value : structuredClone(value);
      else if (typeof there === "string" || typeof value === "string") throw new Error(`two catalogue files say ${path}${key}`);
      else add(there, value, `${path}${key}.`);
    }
  };
  for (const area of areas) add(all, area, "");
  return all;
}

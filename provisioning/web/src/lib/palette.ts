/** Finding one's way by typing: what of a list fits, and in which order. */

export interface Find {
  /** Unique over all kinds. */
  key: string;
  kind: "pages" | "devices" | "schools" | "lessons" | "orders" | "incidents";
  label: string;
  /** Where it stands, or what it is. */
  note: string;
  to: string;
}

const plain = (text: string): string => text.toLowerCase().replaceAll(/\s+/g, "");

/** How well `label` fits what was typed: 0 not at all, more is better. Letters may be left out, their order may not. */
export function fit(label: string, typed: string): number {
  const a = plain(label);
  const b = plain(typed);
  if (b === "") return 1;
  if (a === b) return 100;
  if (a.startsWith(b)) return 80;
  const at = a.indexOf(b);
  if (at >= 0) return 60 - Math.min(20, at);
  if (b.length < 2) return 0;
  let from = 0;
  for (const letter of b) {
    const next = a.indexOf(letter, from);
    if (next < 0) return 0;
    from = next + 1;
  }
  return 20 - Math.min(15, from - b.length);
}

/** The best of `all`, best first; equals stay in their order. */
export function best<T>(all: readonly T[], typed: string, text: (one: T) => string, most: number): T[] {
  return all
    .map((one, at) => ({ one, at, fits: fit(text(one), typed) }))
    .filter((found) => found.fits > 0)
    .sort((x, y) => y.fits - x.fits || x.at - y.at)
    .slice(0, most)
    .map((found) => found.one);
}

/** A number that somebody may mean an order or an incident by: `12`, `#12`, `000012`. */
export function numberIn(typed: string): number | null {
  const found = /^#?0*(\d{1,9})$/.exec(typed.trim());
  const n = found ? Number(found[1]) : 0;
  return n > 0 ? n : null;
}

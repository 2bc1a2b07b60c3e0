/** Names beside points on a drawing: on the side where they cover neither another name nor another point, or not at all. */

export type Side = "right" | "left" | "top" | "bottom";
export interface Point {
  x: number;
  y: number;
  /** Across, in pixels, as is everything here. */
  size: number;
  name: string;
}
type Box = [left: number, top: number, right: number, bottom: number];

const GAP = 4;
/** A name may touch the rim of a point, not its middle. */
const CORE = 0.7;
const SIDES: readonly Side[] = ["right", "left", "bottom", "top"];
const meets = (a: Box, b: Box): boolean => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

/** A Chinese letter is as wide as high, any other a little more than half. */
const across = (name: string, letter: number): number => [...name].reduce((sum, c) => sum + (c.charCodeAt(0) > 0x2e7f ? letter : letter * 0.58), 0);

function box(p: Point, side: Side, letter: number): Box {
  const [w, h, r] = [across(p.name, letter), letter * 1.3, p.size / 2 + GAP];
  switch (side) {
    case "right":
      return [p.x + r, p.y - h / 2, p.x + r + w, p.y + h / 2];
    case "left":
      return [p.x - r - w, p.y - h / 2, p.x - r, p.y + h / 2];
    case "bottom":
      return [p.x - w / 2, p.y + r, p.x + w / 2, p.y + r + h];
    case "top":
      return [p.x - w / 2, p.y - r - h, p.x + w / 2, p.y - r];
  }
}

/** The side of each name; the first points choose first, so give the ones that matter first. `null`: there is no room. */
export function sides(points: readonly Point[], wide: number, high: number, letter: number): (Side | null)[] {
  const dots = points.map((p): Box => { const r = (p.size / 2) * CORE; return [p.x - r, p.y - r, p.x + r, p.y + r]; });
  const taken: Box[] = [];
  return points.map((p, i) => {
    for (const side of SIDES) {
      const b = box(p, side, letter);
      const inside = b[0] >= 0 && b[1] >= 0 && b[2] <= wide && b[3] <= high;
      if (!inside || taken.some((one) => meets(one, b)) || dots.some((one, j) => j !== i && meets(one, b))) continue;
      taken.push(b);
      return side;
    }
    return null;
  });
}

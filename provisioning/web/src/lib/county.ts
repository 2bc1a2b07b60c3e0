/** The county's schools by size and state: what the tree-map and the map draw. */

import type { TreeRegion } from "@/api/types";

export const LEVELS = ["none", "unsure", "fine", "some", "many", "most"] as const;
/** How a school is: nothing there to look at, nobody knows, all there, or how much of what should be there is not. */
export type Level = (typeof LEVELS)[number];

export interface SchoolSpot {
  id: number;
  name: string;
  region: string;
  regionId: number;
  devices: number;
  online: number;
  /** Should be there and are not. */
  away: number;
  unknown: number;
  level: Level;
  latitude: number | null;
  longitude: number | null;
}


/** A fifth away is more than a bad day, half is the line or the power. */
export function levelOf(devices: number, away: number, unknown = 0): Level {
  if (devices === 0) return "none";
  const share = away / devices;
  // What nobody knows is not fine: a console that was just started has not heard of anything yet.
  return away === 0 ? (unknown * 2 >= devices ? "unsure" : "fine") : share < 0.2 ? "some" : share < 0.5 ? "many" : "most";
}

/** All schools within reach, the tree's order. */
export function spots(regions: TreeRegion[]): SchoolSpot[] {
  return regions.flatMap((region) =>
    region.schools.map((school) => ({
      id: school.id, name: school.name, region: region.name, regionId: region.id, devices: school.devices, online: school.online, away: school.offline, unknown: school.unknown,
      level: levelOf(school.devices, school.offline, school.unknown), latitude: school.latitude ?? null, longitude: school.longitude ?? null,
    })),
  );
}

/** Regions that have schools with devices, largest first; so are their schools. */
export function byRegion(all: readonly SchoolSpot[]): { id: number; name: string; schools: SchoolSpot[] }[] {
  const found = new Map<number, { id: number; name: string; schools: SchoolSpot[] }>();
  for (const spot of all) {
    if (spot.devices === 0) continue;
    const region = found.get(spot.regionId) ?? { id: spot.regionId, name: spot.region, schools: [] };
    region.schools.push(spot);
    found.set(spot.regionId, region);
  }
  const size = (schools: SchoolSpot[]): number => schools.reduce((sum, s) => sum + s.devices, 0);
  for (const region of found.values()) region.schools.sort((a, b) => b.devices - a.devices);
  return [...found.values()].sort((a, b) => size(b.schools) - size(a.schools));
}

/** Schools that say where they stand. */
export const placed = (all: readonly SchoolSpot[]): (SchoolSpot & { latitude: number; longitude: number })[] =>
  all.filter((s): s is SchoolSpot & { latitude: number; longitude: number } => s.latitude !== null && s.longitude !== null);

/** The frame of a map around its points, a little wider; a kilometre is as long eastwards as northwards. */
export function frame(points: readonly { latitude: number; longitude: number }[], wide: number, high: number): { west: number; east: number; south: number; north: number } {
  const lat = points.map((p) => p.latitude);
  const lon = points.map((p) => p.longitude);
  const middle = { lat: (Math.min(...lat) + Math.max(...lat)) / 2, lon: (Math.min(...lon) + Math.max(...lon)) / 2 };
  const shrink = Math.max(0.2, Math.cos((middle.lat * Math.PI) / 180));
  // Half the height in degrees northwards, from whichever side is tighter; a lone school still gets a few kilometres.
  const need = { north: Math.max(0.02, (Math.max(...lat) - Math.min(...lat)) / 2), east: Math.max(0.02, ((Math.max(...lon) - Math.min(...lon)) / 2) * shrink) };
  const half = Math.max(need.north, need.east * (high / Math.max(1, wide))) * 1.12;
  const across = (half * (wide / Math.max(1, high))) / shrink;
  return { west: middle.lon - across, east: middle.lon + across, south: middle.lat - half, north: middle.lat + half };
}

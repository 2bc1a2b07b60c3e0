/** Health samples → chart series. A stretch without samples is a gap in the line, never a straight bridge. */

import type { HealthPoint, Readings } from "@/api/types";

export type Sample = [at: number, value: number | null];

/** The usual distance between two samples in ms: the median, so that a gap does not stretch it. */
export function usualStep(points: HealthPoint[]): number {
  const steps: number[] = [];
  for (let i = 1; i < points.length; i += 1) {
    const step = Date.parse(points[i]!.at) - Date.parse(points[i - 1]!.at);
    if (step > 0) steps.push(step);
  }
  if (steps.length === 0) return 60_000;
  steps.sort((a, b) => a - b);
  return steps[Math.floor(steps.length / 2)]!;
}

/** One reading over time; `null` stands where more than two and a half usual steps are missing, or a new boot begins. */
export function series(
  points: HealthPoint[],
  read: (readings: Readings, previous: HealthPoint | undefined, point: HealthPoint) => number | null | undefined,
): Sample[] {
  const limit = usualStep(points) * 2.5;
  const out: Sample[] = [];
  let previous: HealthPoint | undefined;
  for (const point of points) {
    const at = Date.parse(point.at);
    if (previous) {
      const before = Date.parse(previous.at);
      if (at - before > limit || previous.boot_id !== point.boot_id) out.push([before + 1, null]);
    }
    out.push([at, read(point.readings, previous, point) ?? null]);
    previous = point;
  }
  return out;
}

/** Gaps that are worth a shaded band: `[from, to]` in ms. */
export function gaps(points: HealthPoint[]): [number, number][] {
  const limit = usualStep(points) * 2.5;
  const out: [number, number][] = [];
  for (let i = 1; i < points.length; i += 1) {
    const from = Date.parse(points[i - 1]!.at);
    const to = Date.parse(points[i]!.at);
    if (to - from > limit) out.push([from, to]);
  }
  return out;
}

/** Bytes counted since the previous sample → bits per second; nothing where there is no previous one in this boot. */
export function rate(bytes: number | null | undefined, previous: HealthPoint | undefined, point: HealthPoint): number | null {
  if (bytes === null || bytes === undefined || !previous || previous.boot_id !== point.boot_id) return null;
  const seconds = (Date.parse(point.at) - Date.parse(previous.at)) / 1000;
  return seconds > 0 ? (bytes * 8) / seconds : null;
}

export function usedMemory(r: Readings): number | null {
  const { memory_total_bytes: total, memory_available_bytes: free } = r;
  return total && free !== null && free !== undefined ? (1 - free / total) * 100 : null;
}

export function usedDisk(r: Readings): number | null {
  const { disk_total_bytes: total, disk_free_bytes: free } = r;
  return total && free !== null && free !== undefined ? (1 - free / total) * 100 : null;
}

/** One line a reading out of what the console condensed; broken where slots are missing. */
export function linesOf(set: { step_s: number; series: { metric: string; points: { at: string; value: number }[] }[] }, metrics: readonly string[]): { metric: string; samples: Sample[] }[] {
  const limit = set.step_s * 2500;
  return metrics.map((metric) => {
    const samples: Sample[] = [];
    let before = Number.NaN;
    for (const point of set.series.find((s) => s.metric === metric)?.points ?? []) {
      const at = Date.parse(point.at);
      if (at - before > limit) samples.push([before + 1, null]);
      samples.push([at, point.value]);
      before = at;
    }
    return { metric, samples };
  });
}

// Points as a line.
import type { Gap, Point } from "../state/points.ts";

/** A metric's line. NaN, where it is not known and in every gap, keeps it from being bridged. */
export function linePoints(points: readonly Point[], metric: string, gaps: readonly Gap[]): { x: number; y: number }[] {
  const line = points.map((point) => ({ x: point.t, y: point.values[metric]?.mid ?? Number.NaN }));
  const breaks = gaps.map((gap) => ({ x: gap.from, y: Number.NaN }));
  return [...line, ...breaks].sort((a, b) => a.x - b.x);
}

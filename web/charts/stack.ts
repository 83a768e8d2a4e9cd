// Parts of a whole at one point of time, one upon the other.
import type { PhaseName } from "../phases.ts";
import type { Point } from "../state/points.ts";

export interface Layer {
  readonly metric: string;
  readonly phase: PhaseName;
}

export interface Slice {
  readonly phase: PhaseName;
  readonly low: number;
  readonly high: number;
}

/** The layers of a point that were measured, bottom first; one that does not apply has no slice. */
export function stackOf(point: Point, layers: readonly Layer[]): Slice[] {
  let low = 0;
  return layers.flatMap(({ metric, phase }) => {
    const value = point.values[metric]?.mid;
    if (value === null || value === undefined || value < 0) return [];
    const slice = { phase, low, high: low + value };
    low = slice.high;
    return [slice];
  });
}

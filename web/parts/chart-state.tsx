// What stands where a chart will be.
import type { ComponentChildren } from "preact";
import { Failed, Skeleton } from "./states.tsx";

interface ChartStateProps {
  ready: boolean;
  error: unknown;
  children: ComponentChildren;
}

/** A chart, or why there is none yet. */
export function ChartState({ ready, error, children }: ChartStateProps) {
  if (ready) return <>{children}</>;
  if (error !== undefined) return <Failed what="This chart cannot be read" error={error} />;
  return <Skeleton lines={4} label="Loading the chart" />;
}

// What a panel is: how results of one test type are drawn.
import type { ComponentType } from "preact";
import type { Result } from "#contract/result";
import type { Tone } from "../health.ts";
import type { Point } from "../state/points.ts";

export interface ChartProps {
  readonly type: string;
  /** "crm.example from lyon-gw-01" */
  readonly name: string;
  readonly points: readonly Point[];
  readonly from: number;
  readonly to: number;
  /** Longest usual distance between two points. */
  readonly stepMs: number;
  readonly createdAt: number;
  /** What happened at `createdAt`. */
  readonly created: string;
  readonly onZoom: (from: number, to: number) => void;
}

export interface MainProps extends ChartProps {
  readonly height: number;
}

export interface PanelProps extends ChartProps {
  /** The newest run, whatever stretch of time the charts show. */
  readonly latest: Result;
}

export interface PanelFigure {
  readonly metric: string;
  readonly label?: string;
  /** Said of a value that is not as it should be. */
  readonly tone?: (value: unknown, result: Result) => "warn" | "bad" | undefined;
  /** Follows the label. */
  readonly note?: (result: Result) => string | undefined;
}

export interface Badge {
  readonly tone: Exclude<Tone, "none">;
  readonly text: string;
}

export interface Panel {
  /** Metrics the main chart needs of a long range, and those all charts need; 16 at most each. */
  readonly mainMetrics: readonly string[];
  readonly metrics: readonly string[];
  /** The strip at the page's top. */
  readonly figures: readonly PanelFigure[];
  /** Metric and short word, under the cursor and as columns of tables; the first two are what a phone has room for. */
  readonly columns: readonly (readonly [string, string])[];
  readonly chartTitle: string;
  /** What the newest run found, in one card; above the charts. */
  readonly Newest: ComponentType<{ result: Result }> | null;
  /** Drawn in the card under `chartTitle`, and small on a client's page. */
  readonly Main: ComponentType<MainProps>;
  /** Cards beneath it, on the same time axis. */
  readonly Rest: ComponentType<PanelProps> | null;
  /** Explains the main chart's marks. */
  readonly Legend: ComponentType | null;
  /** Beside the heading while a run did not fail. */
  readonly badge?: (result: Result) => Badge | null;
}

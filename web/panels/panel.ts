// What a panel is: how results of one test type are drawn.
import type { ComponentType } from "preact";
import type { Point } from "../state/points.ts";

export interface PanelProps {
  readonly type: string;
  /** "crm.example from lyon-gw-01" */
  readonly name: string;
  readonly points: readonly Point[];
  readonly from: number;
  readonly to: number;
  /** Longest usual distance between two points. */
  readonly stepMs: number;
  readonly createdAt: number;
  readonly onZoom: (from: number, to: number) => void;
}

export interface PanelFigure {
  readonly metric: string;
  readonly label?: string;
}

export interface Panel {
  /** Metrics its charts need of a long range. */
  readonly metrics: readonly string[];
  /** The strip at the page's top, besides the count of runs. */
  readonly figures: readonly PanelFigure[];
  /** Metric and short word, under the cursor and as columns of the table. */
  readonly columns: readonly (readonly [string, string])[];
  readonly chartTitle: string;
  /** Drawn in the card under `chartTitle`. */
  readonly Main: ComponentType<PanelProps>;
  /** Cards beneath it, on the same time axis. */
  readonly Rest: ComponentType<PanelProps> | null;
  /** Explains the main chart's marks. */
  readonly Legend: ComponentType | null;
}

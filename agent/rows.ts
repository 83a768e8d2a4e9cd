// Rows for a terminal: what a probe shows while it measures and when it is done. Text and meaning; print.ts paints them.

export type Tone = "good" | "warn" | "bad" | "dim" | "bold" | "plain";

export interface Cell {
  readonly text: string;
  readonly tone: Tone;
  /** Least width, so that rows shown one by one stand under each other. */
  readonly width: number;
  readonly align: "left" | "right";
}

export type Row = readonly Cell[];

/** Text at the left of its column. */
export const cell = (text: string, width = 0, tone: Tone = "plain"): Cell => ({ text, tone, width, align: "left" });

/** A figure at the right of its column. */
export const figure = (text: string, width = 0, tone: Tone = "plain"): Cell => ({ text, tone, width, align: "right" });

/** Milliseconds with their unit, to a microsecond below 10, to a tenth above 100; a dash where nothing was measured. */
export function milliseconds(value: unknown): string {
  if (typeof value !== "number") return "–";
  return `${value.toFixed(value < 10 ? 3 : value < 100 ? 2 : 1)} ms`;
}

/** Loss in percent, without needless digits. */
export function percent(value: unknown): string {
  return typeof value === "number" ? `${Number.isInteger(value) ? value : value.toFixed(1)} %` : "–";
}

/** How bad a loss is, in the steps of the dashboard. */
export function lossTone(value: unknown): Tone {
  if (typeof value !== "number") return "dim";
  return value === 0 ? "good" : value < 6 ? "warn" : "bad";
}

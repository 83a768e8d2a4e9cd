// What a painter draws with: the canvas, its area, and pixels of times and values.
import type { Gap } from "../state/points.ts";
import type { Colours } from "./colours.ts";

export interface Area {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export interface Painting {
  readonly context: CanvasRenderingContext2D;
  readonly area: Area;
  readonly colours: Colours;
  readonly x: (ms: number) => number;
  readonly y: (value: number) => number;
}

export type Painter = (painting: Painting) => void;

const HATCH_STEP = 7;
/** Narrower gaps carry no words. */
const WORDS_FROM_PX = 62;

/** Hatches stretches without data, so that nobody reads them as zero. */
export function paintGaps({ context, area, colours, x }: Painting, gaps: readonly Gap[]): void {
  for (const gap of gaps) {
    const left = Math.max(area.left, x(gap.from));
    const right = Math.min(area.right, x(gap.to));
    if (right - left < 1) continue;
    context.save();
    context.beginPath();
    context.rect(left, area.top, right - left, area.bottom - area.top);
    context.clip();
    context.strokeStyle = colours.hatch;
    context.lineWidth = 1;
    context.beginPath();
    const height = area.bottom - area.top;
    // Anchored to the area, not to the gap: hatching stays still while the gap grows.
    const first = area.left + Math.floor((left - height - area.left) / HATCH_STEP) * HATCH_STEP;
    for (let start = first; start < right; start += HATCH_STEP) {
      context.moveTo(start, area.bottom);
      context.lineTo(start + height, area.top);
    }
    context.stroke();
    context.restore();
    if (right - left >= WORDS_FROM_PX) paintWord(context, "no data", (left + right) / 2, area.bottom - 8, colours.muted);
  }
}

/** Marks moments with a dashed line under a small triangle. */
export function paintMarks({ context, area, colours, x }: Painting, moments: readonly number[]): void {
  context.save();
  context.strokeStyle = colours.second;
  context.fillStyle = colours.second;
  context.setLineDash([2, 3]);
  for (const moment of moments) {
    const at = x(moment);
    if (at < area.left || at > area.right) continue;
    context.beginPath();
    context.moveTo(at, area.top);
    context.lineTo(at, area.bottom);
    context.stroke();
    context.beginPath();
    context.moveTo(at - 4, area.top);
    context.lineTo(at + 4, area.top);
    context.lineTo(at, area.top + 7);
    context.fill();
  }
  context.restore();
}

export function paintWord(context: CanvasRenderingContext2D, text: string, x: number, y: number, colour: string): void {
  context.save();
  context.font = '11px "Inter Variable", system-ui, sans-serif';
  context.textAlign = "center";
  context.fillStyle = colour;
  context.fillText(text, x, y);
  context.restore();
}

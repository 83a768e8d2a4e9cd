// Where the measuring host explains the figures: quiet bands behind a chart's data, and what they mean in words.
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { type Band, bandLabel, bandLetter, bandMeaning, flagsAt, flagsIn } from "../state/bands.ts";
import { type Painting, paintWord } from "./canvas.ts";

/** The bands of the charts inside it, each flag's merged. */
export const Bands = createContext<readonly Band[]>([]);

const TINT = 0.07;
const STRIP_PX = 3;
/** A run's own width may be less than a pixel. */
const LEAST_PX = 3;
const LETTER_FROM_PX = 12;
/** Bands that overlap write below each other. */
const LANE_PX = 18;

function writeName({ context, area, colours }: Painting, band: Band, left: number, right: number, lane: number): void {
  context.save();
  context.font = '11px "Inter Variable", system-ui, sans-serif';
  const label = bandLabel(band.flag);
  const fits = context.measureText(label).width + 8 <= right - left;
  context.restore();
  // A narrow band has its letter beneath the strip, a little wider than itself.
  const text = fits ? label : bandLetter(band.flag);
  if (!fits && right - left < LETTER_FROM_PX && lane > 0) return;
  paintWord(context, text, (left + right) / 2, area.top + STRIP_PX + 11 + lane * LANE_PX, colours.muted);
}

/** Behind the data, so that no figure is hidden. */
export function paintBands(painting: Painting, bands: readonly Band[]): void {
  const { context, area, colours, x } = painting;
  let before: { right: number; lane: number } = { right: Number.NEGATIVE_INFINITY, lane: 0 };
  for (const band of bands) {
    const left = Math.max(area.left, x(band.from));
    const right = Math.min(area.right, Math.max(x(band.to), x(band.from) + LEAST_PX));
    if (right <= left) continue;
    const lane = left < before.right ? before.lane + 1 : 0;
    before = { right: Math.max(right, left + LETTER_FROM_PX), lane };
    context.save();
    context.fillStyle = colours.text;
    context.globalAlpha = TINT;
    context.fillRect(left, area.top, right - left, area.bottom - area.top);
    context.globalAlpha = 1;
    context.fillStyle = colours.muted;
    context.fillRect(left, area.top + lane * LANE_PX, right - left, STRIP_PX);
    context.restore();
    writeName(painting, band, left, right, lane);
  }
}

/** "host overloaded", for the cursor's words; empty where the host explains nothing. */
export const bandsText = (bands: readonly Band[], t: number, stepMs: number): string =>
  flagsAt(bands, t, stepMs).map(bandLabel).join(", ");

/** The bands in view, with the charts they stand in: each opens to what it means. Nothing while there are none. */
export function BandKey({ from, to }: { from: number; to: number }) {
  const flags = flagsIn(useContext(Bands), from, to);
  if (flags.length === 0) return null;
  return (
    <div class="band-key" data-testid="band-key">
      {flags.map((flag) => (
        <details key={flag}>
          <summary>
            <span class="band-letter" aria-hidden="true">
              {bandLetter(flag)}
            </span>{" "}
            {bandLabel(flag)}
          </summary>
          <p>{bandMeaning(flag)}</p>
        </details>
      ))}
    </div>
  );
}

// What the marks of a chart mean.
import type { ComponentChildren } from "preact";
import { lossLegend } from "../loss.ts";

export function Legend({ children }: { children?: ComponentChildren }) {
  return (
    <ul class="legend">
      {children}
      <Mark swatch="swatch-failed">failed run</Mark>
      <Mark swatch="swatch-gap">no data</Mark>
    </ul>
  );
}

export function Mark({ swatch, children }: { swatch: string; children: ComponentChildren }) {
  return (
    <li>
      <span class={`swatch ${swatch}`} aria-hidden="true" /> {children}
    </li>
  );
}

const lines = (words: readonly string[]) =>
  words.map((word, index) => (
    <li key={word}>
      <span class={`swatch-line swatch-line-${index}`} aria-hidden="true" /> {word}
    </li>
  ));

/** Beside a chart's title: which line is which. */
export const LineWords = ({ words }: { words: readonly string[] }) => <ul class="legend">{lines(words)}</ul>;

/** Of a chart of lines. */
export const lineLegend = (words: readonly string[]) => () => <Legend>{lines(words)}</Legend>;

/** Of a distribution: `spread` says of what, `lost` what the colours count; null where they count nothing. */
export const smokeLegend = (spread: string, lost: string | null) => () => (
  <Legend>
    {lost === null
      ? lines(["median"])
      : lossLegend(lost).map(([level, word]) => (
          <Mark key={level} swatch={`loss-${level}`}>
            {word}
          </Mark>
        ))}
    <Mark swatch="swatch-smoke">{spread}</Mark>
  </Legend>
);

// How much time the charts show.

import { now } from "../clock.ts";
import { RANGE_LABEL, type RangeName, type View } from "../state/view.ts";
import { sinceText } from "../time.ts";
import { Icon } from "./icon.tsx";

interface RangeButtonsProps {
  view: View;
  ranges: readonly RangeName[];
  onRange: (range: RangeName) => void;
}

export function RangeButtons({ view, ranges, onRange }: RangeButtonsProps) {
  const fixed = view.kind === "fixed" ? view : null;
  return (
    <fieldset class="ranges">
      <legend class="visually-hidden">Time shown</legend>
      {fixed && (
        <span class="range-fixed">
          {sinceText(fixed.from, now.value)} – {sinceText(fixed.to, now.value)}
          <button type="button" class="btn-icon" aria-label="Leave the zoom" onClick={() => onRange("1h")}>
            <Icon name="zoom-out" />
          </button>
        </span>
      )}
      {ranges.map((range) => (
        <button
          type="button"
          class="range"
          aria-pressed={view.kind === "range" && view.range === range}
          onClick={() => onRange(range)}
        >
          {RANGE_LABEL[range]}
        </button>
      ))}
    </fieldset>
  );
}

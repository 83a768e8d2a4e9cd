// A stream second by second: its round trip, and what got lost each way.
import { formatText } from "../format.ts";
import { lossLevel } from "../loss.ts";
import type { StreamSecond } from "./udp-seconds.ts";

interface StripProps {
  seconds: readonly StreamSecond[];
}

export function SecondsStrip({ seconds }: StripProps) {
  const top = Math.max(0, ...seconds.map(({ rttMax, rttMedian }) => rttMax ?? rttMedian ?? 0));
  const lost = seconds.reduce((sum, { lostUp, lostDown }) => sum + (lostUp ?? 0) + (lostDown ?? 0), 0);
  return (
    <figure class="seconds" data-testid="udp-seconds" style={{ "--seconds": seconds.length }}>
      <figcaption class="text-secondary small">
        Second by second: round trip (bar to the median, line to the maximum), and packets lost each way.
      </figcaption>
      <div
        class="seconds-grid"
        role="img"
        aria-label={`${seconds.length} s; the largest round trip is ${formatText("udp_rtt_max", top)}; ${lost} packets lost`}
      >
        {seconds.map((second, index) => (
          <div key={index} class="second" title={titleOf(second, index)}>
            <span class="second-rtt">
              {second.rttMax !== null && top > 0 && (
                <span class="second-max" style={{ height: `${(second.rttMax / top) * 100}%` }} />
              )}
              {second.rttMedian !== null && top > 0 && (
                <span class="second-median" style={{ height: `${Math.max(2, (second.rttMedian / top) * 100)}%` }} />
              )}
            </span>
            <Lane lost={second.lostUp} sent={second.sent} />
            <Lane lost={second.lostDown} sent={second.sent} />
          </div>
        ))}
      </div>
      <ul class="seconds-lanes" aria-hidden="true">
        <li>{formatText("udp_rtt_max", top)}</li>
        <li>lost up</li>
        <li>lost down</li>
      </ul>
    </figure>
  );
}

function Lane({ lost, sent }: { lost: number | null; sent: number | null }) {
  const pct = lost === null || sent === null || sent <= 0 ? null : Math.min(100, (100 * lost) / sent);
  return <span class={`second-lane loss-${lossLevel(pct)}`} />;
}

function titleOf({ sent, received, lostUp, lostDown, rttMedian, rttMax }: StreamSecond, index: number): string {
  const lines = [
    `second ${index + 1}: ${received ?? "–"} of ${sent ?? "–"} answered`,
    `round trip ${formatText("udp_rtt_median", rttMedian)}, at most ${formatText("udp_rtt_max", rttMax)}`,
    `lost ${lostUp ?? "–"} up, ${lostDown ?? "–"} down`,
  ];
  return lines.join("\n");
}

// Voice: how a call would sound each way, and what took points from it.
import { R_DEFAULT } from "#contract/e-model";
import type { Result } from "#contract/result";
import { MetricChart } from "../charts/metric-chart.tsx";
import { formatNumber } from "../format.ts";
import { lossTone } from "../loss.ts";
import { FactList } from "../parts/fact-list.tsx";
import { Figure } from "../parts/figure.tsx";
import { Card } from "../parts/page.tsx";
import { StatusMark } from "../parts/status.tsx";
import { clockTime } from "../time.ts";
import { type DirectionRow, Directions } from "./directions.tsx";
import { LineWords, lineLegend } from "./legend.tsx";
import type { MainProps, Panel, PanelProps } from "./panel.ts";
import { codecOf, codecWord, DIRECTIONS, type Direction, ratingTone, satisfaction, takenAway } from "./voice-words.ts";

const MOS = ["voip_mos_up", "voip_mos_down"] as const;
const LOSS = ["voip_effective_loss_up_pct", "voip_effective_loss_down_pct"] as const;
const DELAY = ["voip_one_way_delay_est_ms", "voip_rtt_median"] as const;
/** Ends of the scale of estimated MOS (G.107 Annex B). */
const MOS_AXIS = { min: 1, max: 4.5 } as const;

const ROWS: readonly DirectionRow[] = [
  { label: "Lost", up: "voip_loss_up_pct", down: "voip_loss_down_pct", show: "loss" },
  {
    label: "Too late",
    hint: "Arrived after the playout buffer had to play it",
    up: "voip_late_up_pct",
    down: "voip_late_down_pct",
    show: "loss",
  },
  { label: "Not played", up: "voip_effective_loss_up_pct", down: "voip_effective_loss_down_pct", show: "loss" },
  { label: "Jitter (RFC 3550)", up: "voip_jitter_up", down: "voip_jitter_down", show: "bar" },
  {
    label: "Burst ratio",
    hint: "1 is loss at random, more is loss in bursts",
    up: "voip_burst_ratio_up",
    down: "voip_burst_ratio_down",
    show: "plain",
  },
];

const FACTS = [
  "voip_rtt_median",
  "voip_one_way_delay_est_ms",
  "voip_buffer_ms",
  "voip_sent",
  "voip_received",
  "voip_codec",
  "voip_model",
  "sip_options_rtt",
  "sip_status",
];

const HEARD: Record<Direction, string> = { up: "Heard at the far end", down: "Heard here" };

function Newest({ result }: { result: Result }) {
  const { voip_mos_est: mos, voip_received: received, sip_status: sip } = result.metrics;
  if ([mos, received, sip].every((value) => typeof value !== "number")) return null;
  const codec = codecWord(result.metrics.voip_codec);
  const provisional = codecOf(result)?.provisional === true ? ", provisional figures" : "";
  return (
    <Card
      title={`The call, ${clockTime(Date.parse(result.started_at))}`}
      tools={<span class="text-secondary small">{codec === null ? "" : `${codec}${provisional} · `}estimate by ITU-T G.107</span>}
    >
      <div class="ways" data-testid="voip-ways">
        {DIRECTIONS.map((way) => (
          <Hearing key={way} way={way} result={result} />
        ))}
      </div>
      <div class="beside">
        <Directions rows={ROWS} result={result} testId="voip-directions" />
        <FactList names={FACTS} result={result} testId="voip-facts" />
      </div>
    </Card>
  );
}

function Hearing({ way, result }: { way: Direction; result: Result }) {
  const { metrics, reasons } = result;
  const rating = metrics[`voip_r_${way}`];
  const word = satisfaction(rating);
  return (
    <section class="way" data-way={way}>
      <h3>
        <span aria-hidden="true">{way === "up" ? "↑" : "↓"}</span> {HEARD[way]}
      </h3>
      <p class="way-figure">
        <Figure name={`voip_mos_${way}`} value={metrics[`voip_mos_${way}`]} reason={reasons[`voip_mos_${way}`]} />
        <span class="way-second">
          R <Figure name={`voip_r_${way}`} value={rating} reason={reasons[`voip_r_${way}`]} />
        </span>
        {word !== null && <StatusMark tone={ratingTone(rating)} word={word} />}
      </p>
      <TakenAway way={way} result={result} />
    </section>
  );
}

function TakenAway({ way, result }: { way: Direction; result: Result }) {
  const taken = takenAway(result, way);
  if (taken === null) return null;
  if (taken.length === 0) return <p class="text-secondary">Nothing took points from the best possible {R_DEFAULT}.</p>;
  return (
    <ul class="taken" aria-label={`Points of R taken from ${R_DEFAULT}`}>
      {taken.map(({ what, points, why }) => (
        <li key={what}>
          <span class="taken-what">{what}</span>
          <span class="bar-figure-track" aria-hidden="true">
            <span
              class="bar-figure-fill taken-fill"
              style={{ width: `${Math.max(1, Math.min(100, (points / R_DEFAULT) * 100))}%` }}
            />
          </span>
          <span class="taken-points">−{formatNumber(Math.round(points * 10) / 10)}</span>
          <span class="taken-why text-secondary">{why}</span>
        </li>
      ))}
    </ul>
  );
}

function Main({ type: _type, name: _name, ...props }: MainProps) {
  return <MetricChart {...props} {...MOS_AXIS} metrics={MOS} unit="MOS" />;
}

function Rest({ points, from, to, stepMs, createdAt, onZoom }: PanelProps) {
  const chart = { points, from, to, stepMs, createdAt, onZoom };
  return (
    <>
      <Card title="Packets not played" tools={<LineWords words={DIRECTIONS} />}>
        <MetricChart {...chart} metrics={LOSS} unit="%" height={104} suggestedMax={5} />
      </Card>
      <Card title="Delay" tools={<LineWords words={["mouth to ear", "round trip"]} />}>
        <MetricChart {...chart} metrics={DELAY} unit="ms" height={104} />
      </Card>
    </>
  );
}

export const voipPanel: Panel = {
  mainMetrics: [...MOS, ...LOSS],
  metrics: [...MOS, ...LOSS, ...DELAY, "voip_mos_est", "voip_r_factor"],
  figures: [
    { metric: "voip_mos_est", label: "estimated MOS", note: ({ metrics }) => suffix(satisfaction(metrics.voip_r_factor)) },
    { metric: "voip_r_factor", label: "R factor" },
    { metric: "voip_effective_loss_up_pct", label: "not played, up", tone: lossTone },
    { metric: "voip_effective_loss_down_pct", label: "not played, down", tone: lossTone },
    { metric: "voip_one_way_delay_est_ms", label: "mouth to ear, estimate" },
    { metric: "voip_rtt_median", label: "round trip" },
    { metric: "sip_options_rtt", label: "SIP OPTIONS" },
  ],
  columns: [
    ["voip_mos_est", "quality"],
    ["voip_r_factor", "R"],
    ["voip_mos_up", "heard there"],
    ["voip_mos_down", "heard here"],
    ["voip_one_way_delay_est_ms", "delay"],
  ],
  chartTitle: "Estimated MOS each way (ITU-T G.107)",
  Newest,
  Main,
  Rest,
  Legend: lineLegend(["up", "down"]),
  badge: ({ metrics }) => {
    const mos = metrics.voip_mos_est;
    const tone = ratingTone(metrics.voip_r_factor);
    return typeof mos === "number" && tone !== "none" ? { tone, text: `MOS ${formatNumber(mos)}` } : null;
  },
};

const suffix = (word: string | null) => (word === null ? undefined : `, ${word}`);

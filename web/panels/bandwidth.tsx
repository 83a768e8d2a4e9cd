// Bandwidth: what the line carries each way with one and with many connections, and what that does to delay.
import type { Result } from "#contract/result";
import { MetricChart } from "../charts/metric-chart.tsx";
import { formatText } from "../format.ts";
import { FactList } from "../parts/fact-list.tsx";
import { Figure } from "../parts/figure.tsx";
import { Card } from "../parts/page.tsx";
import { Shape } from "../parts/status.tsx";
import { clockTime } from "../time.ts";
import {
  type BandwidthPhase,
  gradeTone,
  limitedText,
  phasesOfRun,
  rateOfPhase,
  singleText,
  stopText,
} from "./bandwidth-words.ts";
import { LineWords, lineLegend } from "./legend.tsx";
import type { MainProps, Panel, PanelProps } from "./panel.ts";
import { SliceChart } from "./slice-chart.tsx";

const RATES = ["bw_down_mbps", "bw_up_mbps"] as const;
const LOADED = ["rtt_loaded_down_p95", "rtt_loaded_up_p95"] as const;
const IDLE = ["rtt_idle_ms"] as const;
const RPM = ["rpm_down", "rpm_up"] as const;
const WAYS = ["down", "up"] as const;
type Way = (typeof WAYS)[number];

const WAY_WORD: Record<Way, string> = { down: "Download", up: "Upload" };

const FACTS = [
  "bw_bytes",
  "bw_budget_left_bytes",
  "bw_tcp_cc",
  "bw_limited_by",
  "bw_early_stop",
  "bw_duration_ms",
  "bw_ramp_ms",
  "bw_streams",
  "bw_retrans",
  "bw_loss_under_load_pct",
  "rpm_down",
  "rpm_up",
];

function Newest({ result }: { result: Result }) {
  const { metrics } = result;
  // A run that was skipped, or that reached nobody, has its sentence above and no figure to draw.
  if (WAYS.every((way) => numberOf(metrics[`bw_${way}_mbps`]) === null && numberOf(metrics[`bw_single_${way}_mbps`]) === null))
    return null;
  const limit = limitedText(metrics.bw_limited_by);
  const used = typeof metrics.bw_bytes === "number" ? `${formatText("bw_bytes", metrics.bw_bytes)} used` : "";
  const left =
    typeof metrics.bw_budget_left_bytes === "number"
      ? `${formatText("bw_budget_left_bytes", metrics.bw_budget_left_bytes)} left this month`
      : "";
  return (
    <Card
      title={`What the line carries, ${clockTime(Date.parse(result.started_at))}`}
      tools={<span class="text-secondary small">{[used, left].filter((part) => part !== "").join(" · ")}</span>}
    >
      <div class="ways" data-testid="bandwidth-ways">
        {WAYS.map((way) => (
          <Throughput key={way} way={way} result={result} />
        ))}
      </div>
      <UnderLoad result={result} />
      <Slices result={result} />
      {limit && <p class="panel-say">{limit}</p>}
      <details class="card-details">
        <summary>Bytes, budget and the sender</summary>
        <FactList names={FACTS} result={result} testId="bandwidth-facts" />
      </details>
    </Card>
  );
}

const numberOf = (value: unknown) => (typeof value === "number" && Number.isFinite(value) ? value : null);

function Throughput({ way, result }: { way: Way; result: Result }) {
  const { metrics, reasons } = result;
  const [many, one] = [numberOf(metrics[`bw_${way}_mbps`]), numberOf(metrics[`bw_single_${way}_mbps`])];
  const streams = numberOf(metrics.bw_streams);
  const top = Math.max(many ?? 0, one ?? 0);
  const say = singleText(one, many);
  return (
    <section class="way" data-way={way}>
      <h3>
        <span aria-hidden="true">{way === "up" ? "↑" : "↓"}</span> {WAY_WORD[way]}
      </h3>
      <p class="way-figure">
        <Figure name={`bw_${way}_mbps`} value={metrics[`bw_${way}_mbps`]} reason={reasons[`bw_${way}_mbps`]} />
      </p>
      {top > 0 && (
        <ul class="taken">
          <RateBar what={streams === null ? "many" : `${streams} connections`} name={`bw_${way}_mbps`} value={many} top={top} />
          <RateBar
            what="1 connection"
            name={`bw_single_${way}_mbps`}
            value={one}
            top={top}
            reason={reasons[`bw_single_${way}_mbps`]}
          />
        </ul>
      )}
      {say && <p class="text-secondary small">{say}</p>}
    </section>
  );
}

function RateBar(props: { what: string; name: string; value: number | null; top: number; reason?: string | undefined }) {
  const { what, name, value, top, reason } = props;
  return (
    <li>
      <span class="taken-what">{what}</span>
      <span class="bar-figure-track" aria-hidden="true">
        {value !== null && (
          <span class="bar-figure-fill" style={{ width: `${Math.max(1, Math.min(100, (value / top) * 100))}%` }} />
        )}
      </span>
      <span class="rate-figure">
        <Figure name={name} value={value} reason={reason} />
      </span>
    </li>
  );
}

interface LoadRow {
  readonly label: string;
  readonly metric: string;
  readonly loaded: boolean;
}

const LOAD_ROWS: readonly LoadRow[] = [
  { label: "idle", metric: "rtt_idle_ms", loaded: false },
  { label: "while downloading, p95", metric: "rtt_loaded_down_p95", loaded: true },
  { label: "while uploading, p95", metric: "rtt_loaded_up_p95", loaded: true },
];

/** Round trips of an empty and of a full line on one scale. */
function UnderLoad({ result }: { result: Result }) {
  const { metrics, reasons } = result;
  const top = Math.max(0, ...LOAD_ROWS.map(({ metric }) => numberOf(metrics[metric]) ?? 0));
  const grade = metrics.bloat_grade;
  return (
    <section class="load" data-testid="bandwidth-load">
      <h3>Round trip when the line is full</h3>
      <div class="load-body">
        <ul class="taken">
          {LOAD_ROWS.map(({ label, metric, loaded }) => {
            const value = numberOf(metrics[metric]);
            return (
              <li key={metric} data-metric={metric}>
                <span class="taken-what">{label}</span>
                <span class="bar-figure-track" aria-hidden="true">
                  {value !== null && top > 0 && (
                    <span
                      class={`bar-figure-fill${loaded ? " taken-fill" : ""}`}
                      style={{ width: `${Math.max(0.5, Math.min(100, (value / top) * 100))}%` }}
                    />
                  )}
                </span>
                <span class="rate-figure">
                  <Figure name={metric} value={metrics[metric]} reason={reasons[metric]} />
                </span>
              </li>
            );
          })}
        </ul>
        {typeof grade === "string" && grade.length <= 2 && (
          <p class={`grade grade-${gradeTone(grade)}`} title="Bufferbloat: how much delay a full line adds, A+ to F">
            <Shape tone={gradeTone(grade)} /> <b>{grade}</b> <span>bufferbloat</span>
          </p>
        )}
      </div>
    </section>
  );
}

const phaseName = ({ direction, streams }: BandwidthPhase) =>
  `${WAY_WORD[direction]}, ${streams === null ? "" : streams === 1 ? "1 connection" : `${streams} connections`}`.replace(
    /, $/,
    "",
  );

function Slices({ result }: { result: Result }) {
  const drawn = phasesOfRun(result).filter(({ slices }) => slices.length > 0);
  if (drawn.length === 0) return null;
  // One and many connections of a direction on one scale; the directions may be far apart.
  const top = (way: Way) => Math.max(...drawn.filter(({ direction }) => direction === way).flatMap(({ slices }) => slices));
  return (
    <div class="phases-of-run" data-testid="bandwidth-slices">
      {drawn.map((phase, index) => (
        <PhaseSlices key={index} phase={phase} top={top(phase.direction)} rate={rateOfPhase(result, phase)} />
      ))}
      <ul class="legend">
        <li>
          <span class="swatch" aria-hidden="true" /> 250 ms that count
        </li>
        <li>
          <span class="swatch swatch-gap" aria-hidden="true" /> warm-up, not counted
        </li>
      </ul>
    </div>
  );
}

function PhaseSlices({ phase, top, rate }: { phase: BandwidthPhase; top: number; rate: number | null }) {
  return (
    <figure class="phase-run">
      <figcaption>
        {phaseName(phase)}
        {rate !== null && <span class="text-secondary">, {formatText("bw_down_mbps", rate)}</span>}
      </figcaption>
      <SliceChart phase={phase} rate={rate} top={top} label={phaseName(phase)} />
      <p class="text-secondary small">{stopText(phase.ended)}</p>
    </figure>
  );
}

function Main({ type: _type, name: _name, ...props }: MainProps) {
  return <MetricChart {...props} metrics={RATES} unit="Mbit/s" />;
}

function Rest({ points, from, to, stepMs, createdAt, onZoom }: PanelProps) {
  const chart = { points, from, to, stepMs, createdAt, onZoom };
  return (
    <>
      <Card title="Round trip under load, p95" tools={<LineWords words={WAYS} />}>
        <MetricChart {...chart} metrics={LOADED} unit="ms" height={104} />
      </Card>
      <Card title="Responsiveness under load, round trips a minute" tools={<LineWords words={WAYS} />}>
        <MetricChart {...chart} metrics={RPM} unit="RPM" height={104} />
      </Card>
    </>
  );
}

export const bandwidthPanel: Panel = {
  mainMetrics: [...RATES, "bloat_down_ms"],
  metrics: [...RATES, ...LOADED, ...IDLE, ...RPM, "bw_single_down_mbps", "bloat_down_ms"],
  figures: [
    { metric: "bw_down_mbps", label: "download" },
    { metric: "bw_up_mbps", label: "upload" },
    { metric: "rtt_idle_ms", label: "round trip, idle" },
    { metric: "bloat_grade", label: "bufferbloat", tone: (value) => toneText(value) },
    { metric: "rpm_down", label: "round trips a minute, download" },
    { metric: "rpm_up", label: "round trips a minute, upload" },
    { metric: "bw_bytes", label: "bytes used" },
  ],
  columns: [
    ["bw_down_mbps", "down"],
    ["bw_up_mbps", "up"],
    ["bw_single_down_mbps", "1 connection"],
    ["bloat_down_ms", "bloat"],
    ["rpm_down", "responsiveness"],
  ],
  chartTitle: "Throughput, Mbit/s",
  Newest,
  Main,
  Rest,
  Legend: lineLegend(["download", "upload"]),
  badge: ({ metrics }) => {
    const tone = gradeTone(metrics.bloat_grade);
    return tone === "none" ? null : { tone, text: `bufferbloat ${String(metrics.bloat_grade)}` };
  },
};

const toneText = (grade: unknown) => {
  const tone = gradeTone(grade);
  return tone === "warn" || tone === "bad" ? tone : undefined;
};

// HTTP: the phases of a request, of the newest run and over time, and what the server answered.
import type { Result } from "#contract/result";
import { StackChart } from "../charts/stack-chart.tsx";
import { formatText } from "../format.ts";
import { FactList } from "../parts/fact-list.tsx";
import { Figure } from "../parts/figure.tsx";
import { Card } from "../parts/page.tsx";
import { PHASE_NAMES, PHASE_WORD } from "../phases.ts";
import { clockTime } from "../time.ts";
import { PHASE_METRIC, type Phase, phasesOf, redirectsOf } from "./http-phases.ts";
import { Legend, Mark } from "./legend.tsx";
import type { MainProps, Panel } from "./panel.ts";

const LAYERS = PHASE_NAMES.map((phase) => ({ phase, metric: PHASE_METRIC[phase] }));
const METRICS = [...LAYERS.map(({ metric }) => metric), "http_total_ms", "http_status"];

const FACTS = [
  "http_version",
  "http_content_type",
  "http_bytes_wire",
  "http_bytes_decoded",
  "http_compression_ratio",
  "http_cache_status",
  "http_server_timing",
  "http_reused",
  "http_reuse_ttfb_ms",
  "http_assertions_ok",
  "http_final_url",
  "tls_version",
  "tls_authorized",
  "cert_days_left",
];

function Newest({ result }: { result: Result }) {
  const phases = phasesOf(result);
  const total = result.metrics.http_total_ms;
  const redirected = phases.find(({ name }) => name === "redirects")?.ms ?? 0;
  const measured = phases.some((phase) => phase.ms !== null);
  return (
    <Card title={`The newest request, ${clockTime(Date.parse(result.started_at))}`}>
      <div data-testid="http-phases">
        {measured ? <PhaseBar phases={phases} /> : <p class="text-secondary">This run brought no times of single phases.</p>}
        <dl class="phase-list">
          {phases.map(({ name, metric, ms }) => (
            <div key={name} data-metric={metric}>
              <dt>
                <span class={`swatch phase-${name}`} aria-hidden="true" /> {PHASE_WORD[name]}
              </dt>
              <dd>
                <Figure name={metric} value={ms} reason={result.reasons[metric]} />
              </dd>
            </div>
          ))}
          <div class="phase-total" data-metric="http_total_ms">
            <dt>{redirected > 0 ? "last request in all" : "whole request"}</dt>
            <dd>
              <Figure name="http_total_ms" value={total} reason={result.reasons.http_total_ms} />
            </dd>
          </div>
          {redirected > 0 && typeof total === "number" && (
            <div class="phase-total">
              <dt>with redirects</dt>
              <dd>
                <Figure name="http_total_ms" value={total + redirected} />
              </dd>
            </div>
          )}
        </dl>
      </div>
      <Redirects result={result} />
      <details class="card-details">
        <summary>What the server answered</summary>
        <FactList names={FACTS} result={result} />
      </details>
    </Card>
  );
}

function PhaseBar({ phases }: { phases: readonly Phase[] }) {
  return (
    <div class="phase-bar" aria-hidden="true">
      {phases
        .filter((phase) => phase.share > 0)
        .map(({ name, metric, ms, share }) => (
          <span
            key={name}
            class={`phase phase-${name}`}
            style={{ flexGrow: share }}
            title={`${PHASE_WORD[name]} ${formatText(metric, ms)}`}
          >
            <span class="phase-word">{PHASE_WORD[name]}</span>
          </span>
        ))}
    </div>
  );
}

function Redirects({ result }: { result: Result }) {
  const redirects = redirectsOf(result);
  if (redirects.length === 0) return null;
  return (
    <ol class="redirects" data-testid="http-redirects">
      {redirects.map((redirect) => (
        <li>
          <span class="chip">{redirect.status ?? "redirect"}</span>{" "}
          <span class="long-word">{redirect.url ?? "an address this run did not name"}</span>{" "}
          {redirect.total_ms !== null && <span class="text-secondary">{formatText("http_redirects_ms", redirect.total_ms)}</span>}
        </li>
      ))}
    </ol>
  );
}

function Main({ type: _type, ...props }: MainProps) {
  return <StackChart {...props} layers={LAYERS} />;
}

function PhaseLegend() {
  return (
    <Legend>
      {PHASE_NAMES.map((name) => (
        <Mark swatch={`phase-${name}`}>{PHASE_WORD[name]}</Mark>
      ))}
    </Legend>
  );
}

/** A status the test expects is right, whatever its number. */
const statusTone = (status: unknown, result: Result) =>
  typeof status === "number" && status >= 400 && result.status !== "ok" ? ("bad" as const) : undefined;

export const httpPanel: Panel = {
  mainMetrics: METRICS,
  metrics: METRICS,
  figures: [
    {
      metric: "http_total_ms",
      label: "whole request",
      note: ({ metrics }) => (Number(metrics.http_redirects) > 0 ? " (the last)" : undefined),
    },
    { metric: "http_status", label: "status", tone: statusTone },
    { metric: "http_ttfb_ms", label: "waiting for the first byte" },
    { metric: "http_bytes_wire", label: "body as received" },
    { metric: "http_version", label: "HTTP version" },
    { metric: "http_redirects", label: "redirects followed" },
    { metric: "http_reused", label: "connection reused" },
  ],
  columns: [
    ["http_total_ms", "total"],
    ["http_status", "code"],
    ["http_ttfb_ms", "waiting"],
    ["http_tls_ms", "TLS"],
    ["http_download_ms", "download"],
  ],
  chartTitle: "Where the time goes: phases of each request",
  Newest,
  Main,
  Rest: null,
  Legend: PhaseLegend,
  badge: (result) => {
    const status = result.metrics.http_status;
    return typeof status === "number" ? { tone: statusTone(status, result) ?? "ok", text: `status ${status}` } : null;
  },
};

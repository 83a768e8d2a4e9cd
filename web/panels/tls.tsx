// TLS: the certificate as a card, and the handshake over time.
import type { Result } from "#contract/result";
import { MetricChart } from "../charts/metric-chart.tsx";
import { formatText } from "../format.ts";
import { FactList } from "../parts/fact-list.tsx";
import { Figure, Unknown } from "../parts/figure.tsx";
import { Card } from "../parts/page.tsx";
import { Shape } from "../parts/status.tsx";
import { type ChainLink, chainOf, daysText, daysTone, namesOf, whyInvalid } from "./certificate.ts";
import { lineLegend } from "./legend.tsx";
import type { MainProps, Panel, PanelProps } from "./panel.ts";

const HANDSHAKE = ["tls_handshake_ms", "tls_tcp_ms"] as const;
const DAYS = ["cert_days_left"] as const;
/** More names hide behind a button. */
const NAMES_SHOWN = 6;
const FACTS = [
  "cert_key_type",
  "cert_key_bits",
  "cert_chain_len",
  "cert_changed",
  "tls_version",
  "tls_cipher",
  "tls_alpn",
  "tls_ocsp_stapled",
  "tls_versions",
  "cert_fingerprint_sha256",
];

function Newest({ result }: { result: Result }) {
  const { metrics } = result;
  const known = ["cert_subject_cn", "cert_not_after", "cert_days_left", "cert_fingerprint_sha256"].some(
    (name) => metrics[name] !== null && metrics[name] !== undefined,
  );
  return (
    <Card title="Certificate" class="certificate">
      <div data-testid="certificate">
        {known ? <Certificate result={result} /> : <p class="text-secondary">This run saw no certificate.</p>}
      </div>
    </Card>
  );
}

function Certificate({ result }: { result: Result }) {
  const { metrics } = result;
  const chain = chainOf(result);
  return (
    <div class="certificate-body">
      <div class="certificate-main">
        <p class="certificate-name">
          {metrics.cert_subject_cn ? String(metrics.cert_subject_cn) : <Unknown why="It names no subject" />}
        </p>
        <Validity result={result} />
        <dl class="facts">
          <div>
            <dt>Issued by</dt>
            <dd data-metric="cert_issuer">
              <Figure name="cert_issuer" value={metrics.cert_issuer} reason={result.reasons.cert_issuer} />
            </dd>
          </div>
          <div>
            <dt>Valid until</dt>
            <dd data-metric="cert_not_after">
              <Figure name="cert_not_after" value={metrics.cert_not_after} reason={result.reasons.cert_not_after} />
            </dd>
          </div>
        </dl>
        <Names names={namesOf(result)} />
        {chain.length > 0 && <Chain chain={chain} />}
      </div>
      <FactList names={FACTS} result={result} />
    </div>
  );
}

function Validity({ result }: { result: Result }) {
  const { cert_days_left: left, tls_authorized: authorized } = result.metrics;
  const why = whyInvalid(result);
  const tone = daysTone(left);
  return (
    <ul class="certificate-say">
      {authorized === true && (
        <li class="tone-text-ok">
          <Shape tone="ok" /> trusted by this client, and for the name that was asked
        </li>
      )}
      {why !== null && (
        <li class="tone-text-bad" data-testid="certificate-why">
          <Shape tone="bad" /> not valid: {why}
        </li>
      )}
      {typeof left === "number" && tone && (
        <li class={`tone-text-${tone}`} data-testid="certificate-days" data-tone={tone}>
          <Shape tone={tone} /> {daysText(left)}
        </li>
      )}
    </ul>
  );
}

function Names({ names }: { names: readonly string[] }) {
  if (names.length === 0) return null;
  const more = names.slice(NAMES_SHOWN);
  return (
    <div class="certificate-names">
      {names.slice(0, NAMES_SHOWN).map((name) => (
        <span class="chip chip-name" title={name}>
          {name}
        </span>
      ))}
      {more.length > 0 && (
        <details>
          <summary>{more.length} more names</summary>
          <p class="long-word">{more.join(", ")}</p>
        </details>
      )}
    </div>
  );
}

function Chain({ chain }: { chain: readonly ChainLink[] }) {
  return (
    <ol class="chain" aria-label="Chain, from the server's certificate up" data-testid="certificate-chain">
      {chain.map((link) => (
        <li>
          <span class="long-word">{link.subject ?? "without a subject"}</span>{" "}
          {link.not_after !== null && <span class="text-secondary">until {formatText("cert_not_after", link.not_after)}</span>}
        </li>
      ))}
    </ol>
  );
}

function Main({ type: _type, name: _name, ...props }: MainProps) {
  return <MetricChart {...props} metrics={HANDSHAKE} unit="ms" />;
}

function Rest({ points, from, to, stepMs, createdAt, onZoom }: PanelProps) {
  const least = Math.min(0, ...points.map((point) => point.values.cert_days_left?.low ?? 0));
  return (
    <Card title="Days the certificate is still valid">
      <MetricChart
        {...{ points, from, to, stepMs, createdAt, onZoom }}
        metrics={DAYS}
        unit="days"
        height={110}
        min={least}
        stepped
      />
    </Card>
  );
}

export const tlsPanel: Panel = {
  mainMetrics: HANDSHAKE,
  metrics: [...HANDSHAKE, ...DAYS],
  figures: [
    { metric: "tls_handshake_ms", label: "TLS handshake" },
    { metric: "tls_tcp_ms", label: "TCP before it" },
    {
      metric: "cert_days_left",
      label: "certificate valid",
      tone: (value) => {
        const tone = daysTone(value);
        return tone === "ok" || tone === null ? undefined : tone;
      },
    },
    { metric: "tls_authorized", label: "certificate trusted" },
    { metric: "tls_version", label: "version" },
    { metric: "tls_alpn", label: "protocol inside" },
  ],
  columns: [
    ["tls_handshake_ms", "handshake"],
    ["cert_days_left", "valid"],
    ["tls_tcp_ms", "TCP"],
    ["tls_version", "version"],
  ],
  chartTitle: "Handshakes",
  Newest,
  Main,
  Rest,
  Legend: lineLegend(["TLS handshake", "TCP handshake before it"]),
  badge: ({ metrics: { cert_days_left: left } }) => {
    const tone = daysTone(left);
    return tone && typeof left === "number" ? { tone, text: daysText(left) } : null;
  },
};

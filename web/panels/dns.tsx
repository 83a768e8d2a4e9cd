// DNS: resolvers side by side, and the query time over time.
import type { Result } from "#contract/result";
import { LatencyChart } from "../charts/latency-chart.tsx";
import { metricsOfSmoke, type SmokeMetrics } from "../charts/smoke.ts";
import { formatText } from "../format.ts";
import { BarFigure } from "../parts/bar-figure.tsx";
import { Unknown } from "../parts/figure.tsx";
import { Card } from "../parts/page.tsx";
import { StatusMark } from "../parts/status.tsx";
import { clockTime } from "../time.ts";
import { type ResolverAnswer, resolversOf } from "./dns-answers.ts";
import { smokeLegend } from "./legend.tsx";
import type { MainProps, Panel } from "./panel.ts";

const QUERY: SmokeMetrics = {
  min: "dns_query_min_ms",
  median: "dns_query_ms",
  p95: "dns_query_p95_ms",
  max: "dns_query_max_ms",
  loss: null,
};
const METRICS = [...metricsOfSmoke(QUERY), "dns_answers", "dns_ttl_min"];

function Newest({ result }: { result: Result }) {
  const resolvers = resolversOf(result);
  const slowest = Math.max(0, ...resolvers.map(({ query_ms }) => query_ms ?? 0));
  return (
    <Card title={`Resolvers, ${clockTime(Date.parse(result.started_at))}`}>
      <div data-testid="dns-resolvers">
        {resolvers.length === 0 ? (
          <p class="text-secondary">This run brought no table of resolvers.</p>
        ) : (
          <div class="table-scroll">
            <table class="table table-list table-resolvers">
              <thead>
                <tr>
                  <th scope="col">Resolver</th>
                  <th scope="col">Query time</th>
                  <th scope="col">Outcome</th>
                  <th scope="col">Answers</th>
                  <th scope="col" class="num">
                    TTL
                  </th>
                  <th scope="col">DNSSEC</th>
                </tr>
              </thead>
              <tbody>
                {resolvers.map((resolver) => (
                  <Row resolver={resolver} slowest={slowest} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </div>
    </Card>
  );
}

function Row({ resolver, slowest }: { resolver: ResolverAnswer; slowest: number }) {
  const { server, transport, query_ms, rcode, answers, ttl_min, ad, error } = resolver;
  return (
    <tr>
      <td data-label="Resolver">
        <span class="long-word">{server ?? "unnamed"}</span> {transport && <span class="text-secondary">{transport}</span>}
      </td>
      <td data-label="Query time">
        {query_ms === null ? (
          <Unknown why="Not known: no answer" />
        ) : (
          <BarFigure name="dns_query_ms" value={query_ms} share={slowest > 0 ? query_ms / slowest : 0} />
        )}
      </td>
      <td data-label="Outcome">
        <StatusMark
          tone={error === null ? "ok" : rcode === "NODATA" || rcode === "NXDOMAIN" ? "warn" : "bad"}
          word={rcode ?? "no answer"}
        />
        {error !== null && <div class="text-secondary small">{error}</div>}
      </td>
      <td data-label="Answers">
        <Answers answers={answers} />
      </td>
      <td data-label="TTL" class="num text-nowrap">
        {ttl_min === null ? <Unknown why="No record, so no time to live" /> : formatText("dns_ttl_min", ttl_min)}
      </td>
      <td data-label="DNSSEC">{ad === null ? <Unknown why="Not reported" /> : ad ? "authenticated" : "not checked"}</td>
    </tr>
  );
}

const ANSWERS_SHOWN = 3;

function Answers({ answers }: { answers: readonly string[] }) {
  if (answers.length === 0) return <span class="text-secondary">none</span>;
  const rest = answers.slice(ANSWERS_SHOWN);
  return (
    <>
      {answers.slice(0, ANSWERS_SHOWN).map((answer) => (
        <div class="long-word">{answer}</div>
      ))}
      {rest.length > 0 && (
        <details>
          <summary>{rest.length} more</summary>
          {rest.map((answer) => (
            <div class="long-word">{answer}</div>
          ))}
        </details>
      )}
    </>
  );
}

function Main({ type: _type, ...props }: MainProps) {
  return <LatencyChart {...props} metrics={QUERY} />;
}

export const dnsPanel: Panel = {
  mainMetrics: METRICS,
  metrics: METRICS,
  figures: [
    { metric: "dns_query_ms", label: "query time" },
    { metric: "dns_rcode", label: "outcome" },
    { metric: "dns_answers", label: "records" },
    { metric: "dns_ttl_min", label: "shortest time to live" },
    { metric: "dns_server", label: "resolver" },
    { metric: "dns_resolver_diff", label: "resolvers disagree" },
  ],
  columns: [
    ["dns_query_ms", "query"],
    ["dns_rcode", "outcome"],
    ["dns_answers", "records"],
    ["dns_ttl_min", "TTL"],
    ["dns_server", "resolver"],
  ],
  chartTitle: "Query time of the first resolver",
  Newest,
  Main,
  Rest: null,
  Legend: smokeLegend("spread of queries", null),
  badge: ({ metrics, status }) => {
    if (metrics.dns_resolver_diff === true) return { tone: "warn", text: "resolvers disagree" };
    return typeof metrics.dns_rcode === "string" ? { tone: status === "ok" ? "ok" : "warn", text: metrics.dns_rcode } : null;
  },
};

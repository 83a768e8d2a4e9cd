// A client's charts on one time axis with one cursor: its tests, its host, its agent.
import { useState } from "preact/hooks";
import type { ClientDetail } from "#contract/api";
import type { HostReading, Result } from "#contract/result";
import { RangeButtons } from "../parts/range-buttons.tsx";
import type { RunNow } from "../state/use-runs.ts";
import { useView } from "../state/use-view.ts";
import { type RangeName, rangeForAge } from "../state/view.ts";
import { HostAndAgentCharts } from "./client-host-charts.tsx";
import { TestCharts } from "./client-test-charts.tsx";

const CLIENT_RANGES: readonly RangeName[] = ["5m", "15m", "1h", "6h", "24h", "7d", "30d"];

interface ClientChartsProps {
  client: ClientDetail;
  hosts: readonly HostReading[];
  results: readonly Result[];
  runNow: RunNow;
}

export function ClientCharts({ client, hosts, results, runNow }: ClientChartsProps) {
  const shown = useView(useState(() => rangeForAge(Date.now() - Date.parse(client.created_at)))[0]);
  return (
    <section class="chart-block" aria-label="Charts">
      <div class="chart-block-head">
        <h2>Over time</h2>
        <RangeButtons view={shown.view} ranges={CLIENT_RANGES} onRange={shown.choose} />
      </div>
      <TestCharts client={client} results={results} runNow={runNow} shown={shown} />
      <HostAndAgentCharts client={client} hosts={hosts} shown={shown} />
    </section>
  );
}

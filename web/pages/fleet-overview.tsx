// Above the fleet's table: what is wrong, and who is slow.
import type { FleetClient } from "#contract/api";
import { idPath } from "../api.ts";
import { now } from "../clock.ts";
import { headline } from "../health.ts";
import { lossLevel } from "../loss.ts";
import { Figure } from "../parts/figure.tsx";
import { Card } from "../parts/page.tsx";
import { Shape } from "../parts/status.tsx";
import { type FleetProblem, fleetProblems, type LatencyBar, slowest } from "../problems.ts";

const PROBLEMS_SHOWN = 4;
const BARS_SHOWN = 8;

export function FleetOverview({ clients }: { clients: readonly FleetClient[] }) {
  const active = clients.filter((client) => client.status !== "retired");
  const problems = fleetProblems(active, now.value);
  const bars = slowest(active, BARS_SHOWN);
  // One healthy client says everything in its own line.
  if (problems.length === 0 && bars.length < 2) return null;
  return (
    <div class="overview">
      <Card title="What is wrong">
        {problems.length === 0 ? (
          <p class="text-secondary">Nothing: every client is heard, every test answers, no packet was lost in the newest runs.</p>
        ) : (
          <ul class="problems">
            {problems.slice(0, PROBLEMS_SHOWN).map((problem) => (
              <Problem key={`${problem.client.id} ${problem.title}`} problem={problem} />
            ))}
          </ul>
        )}
        {problems.length > PROBLEMS_SHOWN && <a href="/?filter=problems">All {problems.length} problems</a>}
      </Card>
      {bars.length >= 2 && (
        <Card title="Slowest now, median of the worst test">
          <ol class="bars">
            {bars.map((bar) => (
              <Bar key={bar.client.id} bar={bar} />
            ))}
          </ol>
        </Card>
      )}
    </div>
  );
}

function Problem({ problem }: { problem: FleetProblem }) {
  return (
    <li class="problem">
      <Shape tone={problem.tone} />
      <div>
        <a href={`/clients${idPath(problem.client.id)}`}>{problem.title}</a>
        <p>{problem.text}</p>
      </div>
      {problem.since && <span class="chip">{problem.since}</span>}
    </li>
  );
}

function Bar({ bar }: { bar: LatencyBar }) {
  const loss = lossLevel(headline(bar.client, "ping_loss_pct"));
  return (
    <li>
      <a href={`/clients${idPath(bar.client.id)}`}>{bar.client.name}</a>
      <span class="bar-track" aria-hidden="true">
        <span class={`bar-fill loss-${loss}`} style={{ width: `${Math.max(1, bar.share * 100)}%` }} />
      </span>
      <Figure name="ping_rtt_median" value={bar.median} />
    </li>
  );
}

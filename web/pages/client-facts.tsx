// A client in lists of facts: what was rejected, what it is, what it can measure with.
import type { ClientDetail } from "#contract/api";
import { formatNumber } from "../format.ts";
import { Unknown } from "../parts/figure.tsx";
import { Icon } from "../parts/icon.tsx";
import { Card } from "../parts/page.tsx";
import { StatusMark } from "../parts/status.tsx";
import { tagsText } from "../tags.ts";
import { fullTime } from "../time.ts";
import { plural } from "../verdict.ts";

export function RejectedCard({ client }: { client: ClientDetail }) {
  const { count, recent } = client.rejected;
  if (count === 0) return null;
  return (
    <section class="card card-warn" data-testid="rejected-card">
      <header class="card-head">
        <h2>
          <Icon name="exclamation-triangle" /> {plural(count, "result")} from this client could not be read
        </h2>
      </header>
      <p class="text-secondary">
        They were kept aside, so that nothing behind them waits. Usually the agent's version and this one differ too much.
      </p>
      <ul class="rejected">
        {recent.map((item) => (
          <li>
            <strong>{item.reason}</strong>{" "}
            <span class="text-secondary">
              {item.seq === null ? "without a number" : `#${item.seq}`}, received {fullTime(Date.parse(item.received_at))}
            </span>
            <details>
              <summary>What was sent</summary>
              <pre class="raw">{item.excerpt}</pre>
            </details>
          </li>
        ))}
      </ul>
    </section>
  );
}

export function ClientFacts({ client }: { client: ClientDetail }) {
  const { platform, edge } = client;
  const tags = tagsText(client.tags);
  const facts: [string, string | null][] = [
    ["Client id", client.id],
    ...(client.site === "" ? [] : [["Site", client.site] as [string, string]]),
    ...(tags === "" ? [] : [["Tags", tags] as [string, string]]),
    ["Agent version", client.version],
    ["System", [platform.os, platform.release, platform.arch].filter(Boolean).join(" ")],
    ["Host name", platform.hostname],
    ["Node", platform.node],
    ["Address seen by the edge", edge?.ip ?? null],
    ["Network (AS)", edge?.asn == null ? null : `AS${edge.asn}`],
    ["Country", edge?.country ?? null],
    ["Edge location", edge?.colo ?? null],
    ["Clock against the edge", client.clock_offset_ms === null ? null : `${formatNumber(client.clock_offset_ms)} ms`],
    ["Newest number stored", String(client.last_seq)],
    ["Registered", fullTime(Date.parse(client.created_at))],
  ];
  return (
    <div class="card-pair">
      <Card title="About">
        <dl class="facts">
          {facts.map(([label, value]) => (
            <div>
              <dt>{label}</dt>
              <dd>{value ? value : <Unknown why="Not known: it was not reported, or the edge cannot see it here" />}</dd>
            </div>
          ))}
        </dl>
      </Card>
      <Card title="What it can measure with">
        <Capabilities capabilities={client.capabilities} />
      </Card>
    </div>
  );
}

function Capabilities({ capabilities }: Pick<ClientDetail, "capabilities">) {
  const entries = Object.entries(capabilities);
  if (entries.length === 0) return <p class="text-secondary">It has not reported its tools yet.</p>;
  return (
    <dl class="facts">
      {entries.map(([tool, found]) => (
        <div>
          <dt>{tool}</dt>
          <dd>
            {found === null || found === false ? (
              <StatusMark tone="none" word="missing" />
            ) : (
              <StatusMark tone="ok" word={found === true ? "yes" : found} />
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}

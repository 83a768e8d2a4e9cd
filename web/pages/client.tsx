// One client: who it is, how it is, and what it measures.

import { useState } from "preact/hooks";
import { useRoute } from "preact-iso";
import type { ClientDetail } from "#contract/api";
import { clientVerdict } from "../client-verdict.ts";
import { now } from "../clock.ts";
import { formatText, testName } from "../format.ts";
import { healthOfRuns, isUp, outboxProblem, statusReason } from "../health.ts";
import { Ago } from "../parts/ago.tsx";
import { KeyFigure, KeyStrip } from "../parts/figure.tsx";
import { Icon } from "../parts/icon.tsx";
import { Page, VerdictLine } from "../parts/page.tsx";
import { Empty, Failed, Skeleton, Stale } from "../parts/states.tsx";
import { Shape } from "../parts/status.tsx";
import { peerDestinationOf } from "../peers.ts";
import { canWrite, isAdmin } from "../session.ts";
import { useClientNames } from "../state/client-names.ts";
import { type LiveClient, useClient } from "../state/use-client.ts";
import { useOutage } from "../state/use-outage.ts";
import { tagTexts } from "../tags.ts";
import { agoText, sinceText } from "../time.ts";
import { ClientCharts } from "./client-charts.tsx";
import { ConsentCard } from "./client-consent.tsx";
import { DeleteClient, EditClient, RetireClient } from "./client-dialogs.tsx";
import { ClientFacts, RejectedCard } from "./client-facts.tsx";
import { HostCard } from "./client-host.tsx";
import { SelfTestCard } from "./client-self-test.tsx";
import { TestsCard } from "./client-tests.tsx";
import { EventsCard } from "./events-card.tsx";

/** Tags beside the heading; the facts have them all. */
const TAGS_SHOWN = 4;

export function ClientPage() {
  const { params } = useRoute();
  const id = params.id ?? "";
  return <OneClient key={id} id={id} />;
}

function OneClient({ id }: { id: string }) {
  const data = useClient(id);
  if (data.gone) {
    return (
      <Page title="Client">
        <div class="card">
          <Empty icon="hdd-network" title="This client was deleted">
            <p>
              <a href="/">Back to the fleet</a>
            </p>
          </Empty>
        </div>
      </Page>
    );
  }
  if (!data.client) {
    return (
      <Page title="Client">
        {data.error === undefined ? (
          <div class="card">
            <Skeleton lines={8} label="Loading the client" />
          </div>
        ) : (
          <Failed what="This client cannot be shown" error={data.error} retry={data.reload} />
        )}
      </Page>
    );
  }
  return <Loaded client={data.client} data={data} />;
}

function healthOf(client: ClientDetail) {
  const losses = client.latest.map((result) => result.metrics.ping_loss_pct).filter((loss) => typeof loss === "number");
  return healthOfRuns(client.status, client.latest, losses.length > 0 ? Math.max(...losses) : null);
}

function Loaded({ client, data }: { client: ClientDetail; data: LiveClient }) {
  useClientNames([
    ...client.tests.map((test) => test.destination),
    ...client.latest.flatMap(({ peer_id }) => (peer_id === null ? [] : [peerDestinationOf(peer_id)])),
  ]);
  const outage = useOutage(client, data.hosts);
  const health = healthOf(client);
  const heading = (
    <>
      <Shape tone={health.tone} /> {client.name} <span class="heading-type">{health.word}</span>
    </>
  );
  const tags = tagTexts(client.tags);
  const chips = (
    <>
      {client.site && <NameChip text={client.site} />}
      {tags.slice(0, TAGS_SHOWN).map((text) => (
        <NameChip key={text} text={text} />
      ))}
      {tags.length > TAGS_SHOWN && (
        <span class="chip" title={tags.slice(TAGS_SHOWN).join(", ")}>
          {tags.length - TAGS_SHOWN} more
        </span>
      )}
    </>
  );
  return (
    <Page
      title={client.name}
      heading={heading}
      chips={chips}
      actions={<Actions client={client} reload={data.reload} />}
      live={data.live}
    >
      {data.error !== undefined && <Stale error={data.error} retry={data.reload} />}
      <VerdictLine verdict={clientVerdict(client, now.value, outage)} />
      <RejectedCard client={client} />
      <EventsCard list={data.events} aboutOf={({ test_id }) => ({ test: nameOfTest(client, test_id), client: null })} />
      <Strip client={client} />
      <ClientCharts client={client} hosts={data.hosts} results={data.results} runNow={data.runNow} />
      <TestsCard client={client} runNow={data.runNow} />
      <div class="card-pair">
        <SelfTestCard client={client} />
        <ConsentCard client={client} />
      </div>
      <HostCard client={client} />
      <ClientFacts client={client} />
    </Page>
  );
}

/** Null for a test it runs no more. */
function nameOfTest(client: ClientDetail, testId: string): string | null {
  const test = client.tests.find(({ id }) => id === testId);
  return test === undefined ? null : testName(test);
}

/** What people chose to write may be long; the card below has all of it. */
function NameChip({ text }: { text: string }) {
  return (
    <span class="chip chip-name" title={text}>
      {text}
    </span>
  );
}

function Strip({ client }: { client: ClientDetail }) {
  const host = client.host;
  const why = host ? undefined : "Not known: no host sample has arrived yet";
  const figure = (name: string, label: string) => (
    <KeyFigure name={name} label={label} value={host?.metrics[name]} reason={host?.reasons[name]} why={why} />
  );
  const since = Date.parse(client.status_since);
  return (
    <KeyStrip label="Key figures">
      <div class="key-figure">
        <div class="key-value">
          {isUp(client.status) ? (
            agoText(since, now.value).replace(" ago", "")
          ) : (
            <Ago at={client.last_seen_at} why="It has never been heard" />
          )}
        </div>
        <div class="key-label">
          {isUp(client.status)
            ? `online since ${sinceText(since, now.value)}`
            : `${client.last_seen_at === null ? "" : "last heard, "}${statusReason(client.status_reason)}`}
        </div>
      </div>
      {figure("cpu_percent", "CPU busy")}
      {figure("memory_percent", "memory in use")}
      {figure("fs_used_pct", "fullest disk")}
      {figure("if_rx_bytes_sec", "receiving")}
      {figure("if_tx_bytes_sec", "sending")}
      {figure("uptime_s", "host uptime")}
      <Outbox outbox={client.outbox} />
    </KeyStrip>
  );
}

/** Results that wait on the agent, those it had to drop, and why its disk takes no more. */
function Outbox({ outbox: { depth, dropped, problem } }: Pick<ClientDetail, "outbox">) {
  return (
    <div class="key-figure" data-testid="outbox">
      <div class={`key-value${dropped > 0 || problem !== null ? " text-bad" : ""}`}>{formatText("agent_queue_depth", depth)}</div>
      <div class="key-label">
        results waiting{dropped > 0 && `, ${formatText("agent_results_dropped", dropped)} lost`}
        {problem !== null && <>: {outboxProblem(problem)}</>}
      </div>
    </div>
  );
}

function Actions({ client, reload }: { client: ClientDetail; reload: () => void }) {
  const [open, setOpen] = useState<"edit" | "retire" | "delete" | null>(null);
  const close = () => setOpen(null);
  const done = () => {
    close();
    reload();
  };
  if (!canWrite.value) return null;
  return (
    <div class="actions">
      {client.status !== "retired" && (
        <a class="btn btn-sm btn-primary" href={`/tests/new?client=${encodeURIComponent(client.id)}`}>
          <Icon name="plus-lg" /> New test
        </a>
      )}
      <button type="button" class="btn btn-sm btn-outline-secondary" onClick={() => setOpen("edit")}>
        <Icon name="pencil" /> Edit
      </button>
      {client.status !== "retired" && (
        <button type="button" class="btn btn-sm btn-outline-secondary" onClick={() => setOpen("retire")}>
          Retire
        </button>
      )}
      {isAdmin.value && (
        <button
          type="button"
          class="btn btn-sm btn-outline-secondary"
          aria-label="Delete this client"
          onClick={() => setOpen("delete")}
        >
          <Icon name="trash" />
        </button>
      )}
      {open === "edit" && <EditClient client={client} onClose={close} onDone={done} />}
      {open === "retire" && <RetireClient client={client} onClose={close} onDone={done} />}
      {open === "delete" && <DeleteClient client={client} onClose={close} />}
    </div>
  );
}

// One test: which clients run it, and what the chosen one measures.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useLocation, useRoute } from "preact-iso";
import { type Test, type TestDetail, testDetailSchema } from "#contract/api";
import { get, idPath } from "../api.ts";
import { testTitle } from "../format.ts";
import { clientHealth } from "../health.ts";
import { useQuery } from "../hooks.ts";
import { withQuery } from "../navigate.ts";
import { Page } from "../parts/page.tsx";
import { Empty, Failed, Skeleton } from "../parts/states.tsx";
import { Shape } from "../parts/status.tsx";
import { intervalText } from "../time.ts";
import { TestActions } from "./test-actions.tsx";
import { TestView } from "./test-view.tsx";

export function TestPage() {
  const { params, query } = useRoute();
  const id = params.id ?? "";
  const detail = useQuery(`test ${id}`, (signal) => get(`/tests${idPath(id)}`, testDetailSchema, signal));
  const test = detail.data;
  if (!test) {
    return (
      <Page title="Test">
        {detail.error ? (
          <Failed what="This test cannot be shown" error={detail.error} retry={detail.reload} />
        ) : (
          <div class="card">
            <Skeleton lines={6} label="Loading the test" />
          </div>
        )}
      </Page>
    );
  }
  const client = test.clients.find((one) => one.id === query.client) ?? test.clients.find((one) => one.latest) ?? test.clients[0];
  const heading = <TestHeading test={test} client={client} />;
  const actions = <TestActions test={test} onChange={detail.reload} />;
  if (!client) return <NobodyRunsIt test={test} heading={heading} actions={actions} />;
  const tabs = test.clients.length > 1 ? <ClientTabs test={test} shown={client.id} /> : null;
  return <TestView key={`${test.id} ${client.id}`} test={test} client={client} heading={heading} actions={actions} tabs={tabs} />;
}

function TestHeading({ test, client }: { test: TestDetail; client: TestDetail["clients"][number] | undefined }) {
  return (
    <>
      {client && (
        <>
          <a class="crumb" href={`/clients${idPath(client.id)}`}>
            {client.name}
          </a>
          <span class="crumb-arrow"> › </span>
        </>
      )}
      {testTitle(test).name} <span class="heading-type">· {testTitle(test).target}</span>
    </>
  );
}

function NobodyRunsIt({ test, heading, actions }: { test: TestDetail; heading: ComponentChildren; actions: ComponentChildren }) {
  return (
    <Page title={test.name} heading={heading} chips={<TestChips test={test} />} actions={actions}>
      <div class="card">
        <Empty icon="hdd-network" title="No client runs this test">
          <p>
            {test.selector
              ? "No client matches its selector yet; one that does will start by itself."
              : "Edit the test and choose the clients that shall run it."}
          </p>
        </Empty>
      </div>
    </Page>
  );
}

/** "every 10 s · 64 B · IPv4": only what the test itself says. */
export function TestChips({ test }: { test: Test }) {
  const version = test.params.ip_version;
  const parts = [
    `every ${intervalText(test.interval_s)}`,
    test.packet_size === null ? null : `${test.packet_size} B`,
    typeof version === "number" ? `IPv${version}` : null,
  ].filter((part) => part !== null);
  return (
    <>
      <span class="chip">{parts.join(" · ")}</span>
      {!test.enabled && <span class="chip chip-warn">paused</span>}
    </>
  );
}

/** The worst first; the one shown is scrolled to when there are many. */
function ClientTabs({ test, shown }: { test: TestDetail; shown: string }) {
  const { path, query } = useLocation();
  const list = useRef<HTMLElement>(null);
  useEffect(() => {
    const tab = list.current?.querySelector<HTMLElement>("[aria-current]");
    if (list.current && tab) list.current.scrollTop = tab.offsetTop - tab.offsetHeight;
  }, []);
  const tabs = test.clients
    .map((client) => ({ client, health: healthHere(client) }))
    .sort((a, b) => a.health.rank - b.health.rank || a.client.name.localeCompare(b.client.name));
  return (
    <nav ref={list} class="client-tabs" aria-label="Clients that run this test">
      {tabs.map(({ client, health }) => (
        <a
          key={client.id}
          class="client-tab"
          href={withQuery(path, query, { client: client.id })}
          aria-current={client.id === shown ? "true" : undefined}
          title={`${client.name}: ${health.word}`}
        >
          <Shape tone={health.tone} /> <span>{client.name}</span>
          <span class="visually-hidden"> {health.word}</span>
        </a>
      ))}
    </nav>
  );
}

/** The client's health as far as this test shows it. */
function healthHere(client: TestDetail["clients"][number]) {
  const loss = client.latest?.metrics.ping_loss_pct;
  return clientHealth(client.status, client.latest?.status === "failed" ? 1 : 0, typeof loss === "number" ? loss : null);
}

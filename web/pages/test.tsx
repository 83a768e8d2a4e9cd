// One test: which clients run it, and what the chosen one measures.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useLocation, useRoute } from "preact-iso";
import { type Test, type TestDetail, testDetailSchema } from "#contract/api";
import { get, idPath } from "../api.ts";
import { testTitle, typeWord } from "../format.ts";
import { healthOfRuns } from "../health.ts";
import { useQuery } from "../hooks.ts";
import { lossOf } from "../loss.ts";
import { withQuery } from "../navigate.ts";
import { Page, VerdictLine } from "../parts/page.tsx";
import { Empty, Failed, Skeleton } from "../parts/states.tsx";
import { Shape } from "../parts/status.tsx";
import { isMesh, peerName, peerOf } from "../peers.ts";
import { useClientNames } from "../state/client-names.ts";
import { cellAt, firstPair, type Mesh, meshVerdict } from "../state/mesh.ts";
import { useMesh } from "../state/use-mesh.ts";
import { intervalText } from "../time.ts";
import { MeshMatrix } from "./mesh-matrix.tsx";
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
  return <LoadedTest test={test} query={query} reload={detail.reload} />;
}

interface LoadedTestProps {
  test: TestDetail;
  query: Readonly<Record<string, string>>;
  reload: () => void;
}

function LoadedTest({ test, query, reload }: LoadedTestProps) {
  const mesh = useMesh(test, reload);
  useClientNames([test.destination]);
  // Of a mesh nobody chose a pair of, the worst one is the one to look at.
  const worst = mesh && query.client === undefined ? firstPair(mesh) : null;
  const clientId = worst?.from.id ?? query.client;
  const client = test.clients.find((one) => one.id === clientId) ?? test.clients.find((one) => one.latest) ?? test.clients[0];
  if (!client) {
    const actions = <TestActions test={test} onChange={reload} run={null} />;
    return <NobodyRunsIt test={test} heading={<TestHeading test={test} client={undefined} peerId={null} />} actions={actions} />;
  }
  const peer = client.peers.find(({ peer_id }) => peer_id === (worst?.to.id ?? query.peer)) ?? client.peers[0];
  const peerId = peer?.peer_id ?? peerOf(test.destination);
  return (
    <TestView
      key={`${test.id} ${client.id} ${peerId}`}
      test={test}
      client={client}
      peerId={peerId}
      heading={<TestHeading test={test} client={client} peerId={peerId} />}
      cell={mesh && cellAt(mesh, client.id, peerId)}
      reload={reload}
    >
      {mesh && <MeshOverview test={test} mesh={mesh} shown={peerId === null ? null : { from: client.id, to: peerId }} />}
      {!mesh && test.clients.length > 1 && <ClientTabs test={test} shown={client.id} />}
    </TestView>
  );
}

function MeshOverview({ test, mesh, shown }: { test: TestDetail; mesh: Mesh; shown: { from: string; to: string } | null }) {
  return (
    <>
      <VerdictLine verdict={meshVerdict(mesh)} />
      <MeshMatrix type={test.type} mesh={mesh} shown={shown} />
    </>
  );
}

interface TestHeadingProps {
  test: TestDetail;
  client: TestDetail["clients"][number] | undefined;
  peerId: string | null;
}

function TestHeading({ test, client, peerId }: TestHeadingProps) {
  const { name, target } = testTitle(test);
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
      {peerId !== null && isMesh(test.destination) && (
        <>
          <a class="crumb" href={`/clients${idPath(peerId)}`}>
            {peerName(peerId)}
          </a>
          <span class="crumb-arrow"> · </span>
        </>
      )}
      {peerOf(test.destination) !== null ? (
        <ClientAsTarget test={test} peerId={peerOf(test.destination) ?? ""} />
      ) : (
        <>
          {name} <span class="heading-type">· {target}</span>
        </>
      )}
    </>
  );
}

/** The heading of a test that measures one client, with the way to that client's page. */
function ClientAsTarget({ test, peerId }: { test: Test; peerId: string }) {
  const { name } = testTitle(test);
  const peer = (
    <a class="crumb-peer" href={`/clients${idPath(peerId)}`}>
      {peerName(peerId)}
    </a>
  );
  if (name === peerName(peerId))
    return (
      <>
        {peer} <span class="heading-type">· {typeWord(test.type)}</span>
      </>
    );
  return (
    <>
      {name}{" "}
      <span class="heading-type">
        · {typeWord(test.type)} to {peer}
      </span>
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
  const loss = client.latest ? lossOf(client.latest.metrics) : null;
  return healthOfRuns(client.status, client.latest ? [client.latest] : [], loss);
}

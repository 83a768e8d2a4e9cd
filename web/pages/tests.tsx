// Every test there is.
import { useEffect, useState } from "preact/hooks";
import { clientSchema, pageOf, runReplySchema, type Test, testSchema } from "#contract/api";
import { LIMITS } from "#contract/limits";
import { command, get, idPath, request } from "../api.ts";
import { testName, typeLabel } from "../format.ts";
import { useQuery } from "../hooks.ts";
import { Destination } from "../parts/destination.tsx";
import { Icon } from "../parts/icon.tsx";
import { Page } from "../parts/page.tsx";
import { Empty, Failed, Skeleton, Stale } from "../parts/states.tsx";
import { StatusMark } from "../parts/status.tsx";
import { attempt } from "../parts/toasts.tsx";
import { canWrite } from "../session.ts";
import { learnNames } from "../state/client-names.ts";
import { tagsText } from "../tags.ts";
import { intervalText } from "../time.ts";
import { plural } from "../verdict.ts";

const testPage = pageOf(testSchema);
const clientPage = pageOf(clientSchema);

export function TestsPage() {
  const tests = useQuery("tests", (signal) => get(`/tests?limit=${LIMITS.listPage}`, testPage, signal));
  const clients = useQuery("tests clients", (signal) => get(`/clients?limit=${LIMITS.listPage}`, clientPage, signal));
  const names = new Map(clients.data?.items.map((client) => [client.id, client.name]));
  useEffect(() => {
    if (clients.data) learnNames(clients.data.items);
  }, [clients.data]);
  const items = tests.data && [...tests.data.items].sort((a, b) => testName(a).localeCompare(testName(b)));
  const actions = canWrite.value && (
    <a class="btn btn-sm btn-primary" href="/tests/new" data-testid="new-test">
      <Icon name="plus-lg" /> New test
    </a>
  );
  return (
    <Page title="Tests" chips={items && <span class="chip">{plural(items.length, "test")}</span>} actions={actions}>
      {items && tests.error !== undefined && <Stale error={tests.error} retry={tests.reload} />}
      {!items && tests.error !== undefined && (
        <Failed what="The tests cannot be shown" error={tests.error} retry={tests.reload} />
      )}
      {!items && tests.error === undefined && (
        <div class="card">
          <Skeleton lines={6} label="Loading the tests" />
        </div>
      )}
      {items?.length === 0 && (
        <div class="card">
          <Empty icon="activity" title="No test yet">
            <p>A test says what to measure, how often, and from which clients.</p>
          </Empty>
        </div>
      )}
      {items && items.length > 0 && (
        <div class="card table-card">
          <table class="table table-list">
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Type</th>
                <th scope="col">Destination</th>
                <th scope="col">Interval</th>
                <th scope="col">Clients</th>
                <th scope="col">State</th>
                {canWrite.value && (
                  <th scope="col">
                    <span class="visually-hidden">Actions</span>
                  </th>
                )}
              </tr>
            </thead>
            <tbody>
              {items.map((test) => (
                <Row key={test.id} test={test} names={names} reload={tests.reload} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Page>
  );
}

/** Who runs it, in words. */
function targetText(test: Test, names: ReadonlyMap<string, string>): string {
  const { selector } = test;
  const named =
    test.client_ids.length === 1 ? (names.get(test.client_ids[0] ?? "") ?? "1 client") : plural(test.client_ids.length, "client");
  if (!selector) return test.client_ids.length === 0 ? "none" : named;
  const parts = [
    selector.all ? "all clients" : null,
    selector.site === undefined ? null : `site ${selector.site}`,
    selector.tags ? tagsText(selector.tags) : null,
  ];
  const selected = parts.filter((part) => part !== null).join(", ");
  return test.client_ids.length > 0 ? `${selected} and ${named}` : selected;
}

function Row({ test, names, reload }: { test: Test; names: ReadonlyMap<string, string>; reload: () => void }) {
  const [busy, setBusy] = useState(false);
  const path = `/tests${idPath(test.id)}`;
  const run = async (action: () => Promise<unknown>, done: string) => {
    setBusy(true);
    if (await attempt(action, done)) reload();
    setBusy(false);
  };
  return (
    <tr>
      <td data-label="Name">
        <a href={path}>{testName(test)}</a>
      </td>
      <td data-label="Type">{typeLabel(test.type)}</td>
      <td data-label="Destination" class="cell-destination">
        <Destination destination={test.destination} />
      </td>
      <td data-label="Interval">{intervalText(test.interval_s)}</td>
      <td data-label="Clients">{targetText(test, names)}</td>
      <td data-label="State">
        <StatusMark tone={test.enabled ? "ok" : "none"} word={test.enabled ? "on" : "paused"} />
      </td>
      {canWrite.value && (
        <td class="cell-actions">
          <button
            type="button"
            class="btn-icon"
            disabled={busy}
            title="Run now"
            aria-label={`Run ${test.name} now`}
            onClick={() => void run(() => request("POST", `${path}/run`, runReplySchema), "A run was ordered.")}
          >
            <Icon name="broadcast" />
          </button>
          <button
            type="button"
            class="btn-icon"
            disabled={busy}
            title={test.enabled ? "Pause" : "Resume"}
            aria-label={`${test.enabled ? "Pause" : "Resume"} ${test.name}`}
            onClick={() =>
              void run(
                () => command("POST", `${path}/${test.enabled ? "pause" : "resume"}`),
                test.enabled ? "Paused." : "Resumed.",
              )
            }
          >
            <Icon name={test.enabled ? "pause-fill" : "play-fill"} />
          </button>
          <a class="btn-icon" href={`${path}/edit`} title="Edit" aria-label={`Edit ${test.name}`}>
            <Icon name="pencil" />
          </a>
        </td>
      )}
    </tr>
  );
}

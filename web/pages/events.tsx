// Every client's events: what is wrong now, and what was.
import { useEffect } from "preact/hooks";
import { clientSchema, pageOf, testSchema } from "#contract/api";
import { LIMITS } from "#contract/limits";
import { get } from "../api.ts";
import { testName } from "../format.ts";
import { useQuery } from "../hooks.ts";
import { Page } from "../parts/page.tsx";
import { Empty } from "../parts/states.tsx";
import { useEvents } from "../state/use-events.ts";
import { EventsCard } from "./events-card.tsx";

const clientPage = pageOf(clientSchema);
const testPage = pageOf(testSchema);
/** No live line tells of every client's events. */
const REFRESH_MS = 10_000;

export function EventsPage() {
  const list = useEvents({});
  const clients = useQuery("events clients", (signal) => get(`/clients?limit=${LIMITS.listPage}`, clientPage, signal));
  const tests = useQuery("events tests", (signal) => get(`/tests?limit=${LIMITS.listPage}`, testPage, signal));
  const { reload } = list;
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) reload();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [reload]);
  const clientNames = new Map(clients.data?.items.map(({ id, name }) => [id, name]));
  const testNames = new Map(tests.data?.items.map((test) => [test.id, testName(test)]));
  return (
    <Page title="Events">
      {list.events?.length === 0 ? (
        <div class="card">
          <Empty icon="check-lg" title="No event">
            <p>
              When a test begins to fail, the server and other clients look at the same destination; what they saw stands here.
            </p>
          </Empty>
        </div>
      ) : (
        <EventsCard
          list={list}
          aboutOf={({ client_id, test_id }) => ({
            test: testNames.get(test_id) ?? null,
            client: clientNames.get(client_id) ?? "a client",
          })}
        />
      )}
    </Page>
  );
}

// What a test is pointed at: an address, another client by its name, or all clients at each other.
import type { Client } from "#contract/api";
import { testType } from "#contract/test-types/index";
import { isUp, STATUS_WORD } from "../health.ts";
import type { Query } from "../hooks.ts";
import { Field, TextField } from "../parts/field.tsx";
import { Failed, Skeleton } from "../parts/states.tsx";
import { AIMS, type Aim, clientCount } from "../state/test-form.ts";
import type { FormWork } from "../state/use-test-form.ts";

const AIM_WORD: Record<Aim, string> = { address: "An address", client: "Another client", mesh: "Each other (mesh)" };

export type Clients = Query<{ items: Client[] }>;

export function DestinationFields({ work, clients }: { work: FormWork; clients: Clients }) {
  const { form, change } = work;
  const peer = testType(form.type).peer;
  return (
    <>
      {peer !== undefined && (
        <fieldset class="choices">
          <legend class="form-label">Measure to</legend>
          {AIMS.map((aim) => (
            <button
              key={aim}
              type="button"
              class="choice"
              data-testid={`aim-${aim}`}
              aria-pressed={form.aim === aim}
              onClick={() => change("aim", { aim })}
            >
              {AIM_WORD[aim]}
            </button>
          ))}
        </fieldset>
      )}
      {form.aim === "address" && <Address work={work} />}
      {form.aim === "client" && <PeerField work={work} clients={clients} />}
      {form.aim === "mesh" && <MeshHint work={work} clients={clients} />}
      {form.aim !== "address" && peer === "reflector" && (
        <p class="form-text field">
          A measured client opens a reflector while this test runs: one port, UDP and TCP, 8862 unless its agent was told another.
          It answers only who holds a key from this server.
        </p>
      )}
    </>
  );
}

function Address({ work: { form, error, change } }: { work: FormWork }) {
  return (
    <TextField
      label="Destination"
      value={form.destination}
      onValue={(destination) => change("destination", { destination })}
      error={error("destination")}
      hint={testType(form.type).destination.hint}
      placeholder={testType(form.type).destination.example}
      testId="test-destination"
      autoFocus
    />
  );
}

const nameAndState = ({ name, site, status }: Client) =>
  [name, site, isUp(status) ? "" : STATUS_WORD[status]].filter((part) => part !== "").join(", ");

function PeerField({ work: { form, error, change }, clients }: { work: FormWork; clients: Clients }) {
  if (!clients.data) {
    if (clients.error === undefined) return <Skeleton lines={1} label="Loading the clients" />;
    return <Failed what="The clients cannot be read" error={clients.error} retry={clients.reload} />;
  }
  const known = clients.data.items
    .filter(({ id, status }) => status !== "retired" || id === form.peerId)
    .sort((a, b) => a.name.localeCompare(b.name));
  const gone = form.peerId !== "" && known.every(({ id }) => id !== form.peerId);
  return (
    <Field
      label="Client to measure"
      error={error("destination")}
      hint="Every client chosen under “Who measures” measures to this one; it does not measure itself."
    >
      {(ids) => (
        <select
          {...ids}
          class={`form-select${error("destination") ? " is-invalid" : ""}`}
          data-testid="test-peer"
          value={form.peerId}
          onChange={(event) => change("destination", { peerId: event.currentTarget.value })}
        >
          <option value="">Choose a client…</option>
          {gone && <option value={form.peerId}>a client you cannot see, or one that is gone</option>}
          {known.map((client) => (
            <option key={client.id} value={client.id}>
              {nameAndState(client)}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** How many measurements an interval holds, where that is known before the test exists. */
function MeshHint({ work: { form }, clients }: { work: FormWork; clients: Clients }) {
  const count = clientCount(form, clients.data?.items);
  const pairs = count === null || count < 2 ? null : count * (count - 1);
  return (
    <p class="form-text field" data-testid="mesh-hint">
      Each client that runs this test measures to every other, both ways, and the test's page shows all pairs as a matrix.
      {pairs !== null && ` With ${count} clients that is ${pairs.toLocaleString("en-GB")} measurements in each interval.`}
    </p>
  );
}

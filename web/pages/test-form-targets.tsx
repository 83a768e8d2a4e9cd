// Which clients run a test: chosen ones, or whoever matches now and later.
import { useState } from "preact/hooks";
import type { Client } from "#contract/api";
import { isUp, STATUS_WORD } from "../health.ts";
import type { Query } from "../hooks.ts";
import { TextField } from "../parts/field.tsx";
import { Failed, Skeleton } from "../parts/states.tsx";
import { Shape } from "../parts/status.tsx";
import { TARGETS, type Target, type TestForm } from "../state/test-form.ts";
import { plural } from "../verdict.ts";

const TARGET_WORD: Record<Target, string> = { clients: "Chosen clients", all: "All clients", site: "A site", tags: "Tags" };

interface TargetsProps {
  form: TestForm;
  clients: Query<{ items: Client[] }>;
  error: string | undefined;
  onChange: (path: string, patch: Partial<TestForm>) => void;
}

export function Targets({ form, clients, error, onChange }: TargetsProps) {
  const path = form.target === "clients" ? "client_ids" : "selector";
  return (
    <>
      <fieldset class="choices">
        <legend class="visually-hidden">Who measures</legend>
        {TARGETS.map((target) => (
          <button
            type="button"
            class="choice"
            aria-pressed={form.target === target}
            onClick={() => onChange("target", { target })}
          >
            {TARGET_WORD[target]}
          </button>
        ))}
      </fieldset>
      {form.target === "clients" && <ChosenClients form={form} clients={clients} onChange={onChange} />}
      {form.target === "all" && <p class="form-text">Every client, and every one added later.</p>}
      {form.target === "site" && <SiteTarget form={form} clients={clients} onChange={onChange} />}
      {form.target === "tags" && (
        <TextField
          label="Tags"
          value={form.tags}
          onValue={(tags) => onChange("selector", { tags })}
          hint="For example: role=gateway. Clients that carry all of them."
        />
      )}
      {error && (
        <p class="field-error" role="alert">
          {path === "client_ids" || form.target === "site" ? "The test" : TARGET_WORD[form.target]} {error}
        </p>
      )}
    </>
  );
}

type PartProps = Omit<TargetsProps, "error">;

function ChosenClients({ form, clients, onChange }: PartProps) {
  const known = clients.data?.items.filter((client) => client.status !== "retired").sort((a, b) => a.name.localeCompare(b.name));
  if (known) {
    return <ClientList chosen={form.clientIds} clients={known} onValue={(clientIds) => onChange("client_ids", { clientIds })} />;
  }
  if (clients.error === undefined) return <Skeleton lines={3} />;
  return <Failed what="The clients cannot be read" error={clients.error} retry={clients.reload} />;
}

function SiteTarget({ form, clients, onChange }: PartProps) {
  const sites = new Set(clients.data?.items.map((client) => client.site).filter((site) => site !== ""));
  const choose = (site: string) => onChange("selector", { site });
  return (
    <>
      <TextField label="Site" value={form.site} onValue={choose} hint="Clients of this site, and those added to it later." />
      <div class="choices">
        {[...sites]
          .sort((a, b) => a.localeCompare(b))
          .map((site) => (
            <button key={site} type="button" class="choice" aria-pressed={form.site === site} onClick={() => choose(site)}>
              {site}
            </button>
          ))}
      </div>
    </>
  );
}

function ClientList({ chosen, clients, onValue }: { chosen: string[]; clients: Client[]; onValue: (ids: string[]) => void }) {
  const [search, setSearch] = useState("");
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = clients.filter((client) => words.every((word) => `${client.name} ${client.site}`.toLowerCase().includes(word)));
  if (clients.length === 0) {
    return (
      <p>
        There is no client yet. <a href="/?add=1">Add one</a>, or choose “All clients” so that the first one starts by itself.
      </p>
    );
  }
  const toggle = (id: string, on: boolean) => onValue(on ? [...chosen, id] : chosen.filter((one) => one !== id));
  return (
    <div class="client-list">
      <div class="client-list-head">
        <input
          class="form-control form-control-sm"
          type="search"
          aria-label="Find a client"
          placeholder="Find a client…"
          value={search}
          onInput={(event) => setSearch(event.currentTarget.value)}
        />
        <span class="text-secondary">{plural(chosen.length, "client")} chosen</span>
        <button
          type="button"
          class="btn btn-sm btn-outline-secondary"
          onClick={() => onValue([...new Set([...chosen, ...shown.map((client) => client.id)])])}
        >
          All shown
        </button>
      </div>
      <ul>
        {shown.map((client) => (
          <li key={client.id}>
            <label>
              <input
                class="form-check-input"
                type="checkbox"
                data-testid="test-client"
                value={client.id}
                checked={chosen.includes(client.id)}
                onChange={(event) => toggle(client.id, event.currentTarget.checked)}
              />
              <Shape tone={isUp(client.status) ? "ok" : "none"} /> {client.name}
              <span class="text-secondary">
                {client.site} {STATUS_WORD[client.status]}
              </span>
            </label>
          </li>
        ))}
      </ul>
    </div>
  );
}

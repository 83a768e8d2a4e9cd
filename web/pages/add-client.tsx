// Adding a client: an enrolment token inside a command to paste, then waiting until the client is here.
import { useRef, useState } from "preact/hooks";
import { type CreatedToken, createdTokenSchema, createTokenSchema, type FleetClient } from "#contract/api";
import { fieldErrors } from "#contract/problem";
import { idPath, request } from "../api.ts";
import { isUp, STATUS_WORD } from "../health.ts";
import { CopyBlock } from "../parts/copy.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { TextField } from "../parts/field.tsx";
import { Form, FormError } from "../parts/form.tsx";
import { Icon } from "../parts/icon.tsx";
import { Shape } from "../parts/status.tsx";
import { fieldMap } from "../problem.ts";
import { enrolCommand, isLoopback } from "../shell.ts";
import type { FleetMap } from "../state/fleet.ts";
import { type FieldMessages, useSubmit } from "../state/use-submit.ts";

const VALID_MS = 24 * 3_600_000;

interface Order {
  readonly token: CreatedToken;
  readonly name: string;
  readonly site: string;
}

export function AddClient({ fleet, onClose }: { fleet: FleetMap; onClose: () => void }) {
  const [order, setOrder] = useState<Order | null>(null);
  const known = useRef(new Set(fleet.keys()));
  const arrived = [...fleet.values()].find((client) => !known.current.has(client.id));
  return (
    <Dialog title="Add a client" onClose={onClose}>
      {order ? <Command order={order} arrived={arrived} onClose={onClose} /> : <OrderForm onOrder={setOrder} />}
    </Dialog>
  );
}

function OrderForm({ onOrder }: { onOrder: (order: Order) => void }) {
  const [name, setName] = useState("");
  const [site, setSite] = useState("");
  const body = {
    kind: "enrolment",
    name: name.trim() || site.trim() || "new client",
    max_uses: 1,
    expires_at: new Date(Date.now() + VALID_MS).toISOString(),
    site: site.trim() === "" ? null : site.trim(),
    tags: {},
  };
  const check = (): FieldMessages => {
    const checked = createTokenSchema.safeParse(body);
    return checked.success ? {} : fieldMap(fieldErrors(checked.error));
  };
  const { errors, busy, submit } = useSubmit(check, async () => {
    const token = await request("POST", "/tokens", createdTokenSchema, { body });
    onOrder({ token, name: name.trim(), site: site.trim() });
  });
  return (
    <Form onSubmit={submit}>
      <div class="dialog-body">
        <p>
          The next step shows one command to run on a computer in the office that shall be measured. Both fields may stay empty:
          the client then takes its host name.
        </p>
        <TextField label="Name" value={name} onValue={setName} error={errors.name} placeholder="lyon-gw-01" autoFocus />
        <TextField
          label="Site"
          value={site}
          onValue={setSite}
          error={errors.site}
          placeholder="Lyon"
          hint="Groups clients; tests can be given to a whole site."
        />
        <FormError text={errors.form} />
      </div>
      <footer class="dialog-foot">
        <button type="submit" class="btn btn-primary" disabled={busy}>
          Show the command
        </button>
      </footer>
    </Form>
  );
}

function Command({ order, arrived, onClose }: { order: Order; arrived: FleetClient | undefined; onClose: () => void }) {
  const text = enrolCommand({ server: location.origin, token: order.token.secret, name: order.name, site: order.site });
  return (
    <>
      <div class="dialog-body">
        <p>Run this in a clone of StreamSwarm on that computer. The token works once and for 24 hours.</p>
        <CopyBlock text={text} label="Command that adds the client" testId="add-client-command" />
        {isLoopback(location.hostname) && (
          <p class="alert alert-warning">
            <Icon name="exclamation-triangle" /> This page is open at <code>{location.host}</code>, which only this machine can
            reach. For another computer start StreamSwarm with <code>HOST=0.0.0.0 npm start</code> and open it by this machine's
            address.
          </p>
        )}
        <h3>What that computer needs</h3>
        <ul class="needs">
          <li>A clone of this repository with Node 18 or newer and npm; npm brings the Node 24 the agent runs on.</li>
          <li>
            Outgoing {location.protocol === "https:" ? "HTTPS and WebSocket" : "HTTP and WebSocket"} to{" "}
            <code>{location.host}</code>; nothing incoming.
          </li>
          <li>
            The <code>ping</code> command (package <code>iputils-ping</code> on Debian and Ubuntu).
          </li>
        </ul>
        <Arrival client={arrived} />
      </div>
      <footer class="dialog-foot">
        <button type="button" class="btn btn-outline-secondary" onClick={onClose}>
          Done
        </button>
      </footer>
    </>
  );
}

function Arrival({ client }: { client: FleetClient | undefined }) {
  if (!client) {
    return (
      <p class="arrival" role="status">
        <span class="pulse pulse-on" aria-hidden="true" /> Waiting for the client…
      </p>
    );
  }
  return (
    <p class="arrival arrival-here" role="status">
      <Shape tone={isUp(client.status) ? "ok" : "none"} />
      <span>
        <strong>{client.name}</strong> is {isUp(client.status) ? "online" : STATUS_WORD[client.status]}.{" "}
        <a href={`/clients${idPath(client.id)}`}>Open its page</a>
      </span>
    </p>
  );
}

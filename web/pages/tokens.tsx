// Enrolment and API tokens: what they may, how often they were used, and revoking them.
import { useState } from "preact/hooks";
import { type CreatedToken, createdTokenSchema, createTokenSchema, pageOf, type Token, tokenSchema } from "#contract/api";
import { LIMITS } from "#contract/limits";
import { fieldErrors } from "#contract/problem";
import { command, get, idPath, request } from "../api.ts";
import { useQuery } from "../hooks.ts";
import { Ago } from "../parts/ago.tsx";
import { CopyBlock } from "../parts/copy.tsx";
import { Confirm, Dialog } from "../parts/dialog.tsx";
import { TextField } from "../parts/field.tsx";
import { Icon } from "../parts/icon.tsx";
import { ListPage } from "../parts/list-page.tsx";
import { StatusMark } from "../parts/status.tsx";
import { messageOf } from "../problem.ts";
import { canWrite } from "../session.ts";
import { fullTime } from "../time.ts";

const tokenPage = pageOf(tokenSchema);

export function TokensPage() {
  const query = useQuery("tokens", (signal) => get(`/tokens?limit=${LIMITS.listPage}`, tokenPage, signal));
  const [creating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<Token | null>(null);
  const actions = (
    <div class="actions">
      {canWrite.value && (
        <a class="btn btn-sm btn-outline-secondary" href="/?add=1">
          <Icon name="plus-lg" /> Add a client
        </a>
      )}
      <button type="button" class="btn btn-sm btn-primary" onClick={() => setCreating(true)}>
        <Icon name="plus-lg" /> New API token
      </button>
    </div>
  );
  return (
    <ListPage
      title="Tokens"
      query={query}
      headings={["Name", "Kind", "Uses", "Expires", "Last used", "State", ""]}
      actions={actions}
      empty={{
        icon: "key",
        title: "No token yet",
        text: "Enrolment tokens let clients register; API tokens let scripts read and change what you may.",
      }}
      row={(token) => <Row key={token.id} token={token} revoke={() => setRevoking(token)} />}
    >
      {creating && <CreateToken onClose={() => setCreating(false)} onCreated={query.reload} />}
      {revoking && (
        <Confirm
          title={`Revoke ${revoking.name}?`}
          action="Revoke it"
          done="The token was revoked."
          run={() => command("DELETE", `/tokens${idPath(revoking.id)}`)}
          onClose={() => setRevoking(null)}
          onDone={() => {
            setRevoking(null);
            query.reload();
          }}
        >
          <p>It stops working at once. Clients that registered with it keep their own tokens.</p>
        </Confirm>
      )}
    </ListPage>
  );
}

/** Whether it still works, and why not. */
function stateOf(token: Token): string {
  if (token.revoked_at !== null) return "revoked";
  if (token.expires_at !== null && Date.parse(token.expires_at) <= Date.now()) return "expired";
  if (token.max_uses !== null && token.uses >= token.max_uses) return "used up";
  return "valid";
}

function Row({ token, revoke }: { token: Token; revoke: () => void }) {
  const state = stateOf(token);
  return (
    <tr>
      <td data-label="Name">
        {token.name}
        {token.site && <span class="chip chip-small">{token.site}</span>}
      </td>
      <td data-label="Kind">{token.kind === "enrolment" ? "enrolment" : `API, ${token.scopes.join(" and ")}`}</td>
      <td data-label="Uses">
        {token.uses}
        {token.max_uses !== null && <span class="unit"> of {token.max_uses}</span>}
      </td>
      <td data-label="Expires">{token.expires_at === null ? "never" : fullTime(Date.parse(token.expires_at))}</td>
      <td data-label="Last used">
        <Ago at={token.last_used_at} why="Never used" />
      </td>
      <td data-label="State">
        <StatusMark tone={state === "valid" ? "ok" : "none"} word={state} />
      </td>
      <td class="cell-actions">
        {token.revoked_at === null && (
          <button type="button" class="btn-icon" title="Revoke" aria-label={`Revoke ${token.name}`} onClick={revoke}>
            <Icon name="trash" />
          </button>
        )}
      </td>
    </tr>
  );
}

function CreateToken({ onClose, onCreated }: { onClose: () => void; onCreated: () => void }) {
  const [name, setName] = useState("");
  const [write, setWrite] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const [made, setMade] = useState<CreatedToken | null>(null);
  const submit = async () => {
    const body = { kind: "api", name, scopes: write ? ["read", "write"] : ["read"] };
    const checked = createTokenSchema.safeParse(body);
    if (!checked.success) return setError(`Name ${fieldErrors(checked.error)[0]?.message ?? "is wrong"}`);
    try {
      setMade(await request("POST", "/tokens", createdTokenSchema, { body }));
      onCreated();
    } catch (failure) {
      setError(messageOf(failure));
    }
  };
  return (
    <Dialog title="New API token" onClose={onClose}>
      {made ? (
        <div class="dialog-body">
          <p>Copy it now: it is not shown again.</p>
          <CopyBlock text={made.secret} label="The token's secret" />
        </div>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void submit();
          }}
        >
          <div class="dialog-body">
            <TextField
              label="Name"
              value={name}
              onValue={setName}
              hint="What it is for, so that you recognise it later."
              autoFocus
            />
            <label class="form-check">
              <input
                class="form-check-input"
                type="checkbox"
                checked={write}
                disabled={!canWrite.value}
                onChange={(event) => setWrite(event.currentTarget.checked)}
              />
              It may change things, not only read
            </label>
            {error && (
              <p class="field-error" role="alert">
                {error}
              </p>
            )}
          </div>
          <footer class="dialog-foot">
            <button type="submit" class="btn btn-primary">
              Create it
            </button>
          </footer>
        </form>
      )}
    </Dialog>
  );
}

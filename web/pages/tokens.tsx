// Enrolment and API tokens: what they may, how often they were used, and revoking them.
import { useState } from "preact/hooks";
import { pageOf, type Token, tokenSchema } from "#contract/api";
import { LIMITS } from "#contract/limits";
import { command, get, idPath } from "../api.ts";
import { useQuery } from "../hooks.ts";
import { Ago } from "../parts/ago.tsx";
import { Confirm } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { ListPage } from "../parts/list-page.tsx";
import { StatusMark } from "../parts/status.tsx";
import { canWrite } from "../session.ts";
import { fullTime } from "../time.ts";
import { CreateToken } from "./create-token.tsx";

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

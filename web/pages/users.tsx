// People with an account; admins only.
import { useState } from "preact/hooks";
import { pageOf, type User, userSchema } from "#contract/api";
import { LIMITS } from "#contract/limits";
import { command, get, idPath } from "../api.ts";
import { useQuery } from "../hooks.ts";
import { Ago } from "../parts/ago.tsx";
import { Icon } from "../parts/icon.tsx";
import { ListPage } from "../parts/list-page.tsx";
import { RoleSelect } from "../parts/role-select.tsx";
import { StatusMark } from "../parts/status.tsx";
import { attempt } from "../parts/toasts.tsx";
import { currentUser } from "../session.ts";
import { CreateUser } from "./create-user.tsx";

const userPage = pageOf(userSchema);

export function UsersPage() {
  const query = useQuery("users", (signal) => get(`/users?limit=${LIMITS.listPage}`, userPage, signal));
  const [creating, setCreating] = useState(false);
  return (
    <ListPage
      title="Users"
      query={query}
      headings={["Name", "Role", "Sites", "Last signed in", "State", ""]}
      actions={
        <button type="button" class="btn btn-sm btn-primary" onClick={() => setCreating(true)}>
          <Icon name="plus-lg" /> New user
        </button>
      }
      empty={{ icon: "people", title: "No user", text: "Nobody has an account yet." }}
      row={(user) => <Row key={user.id} user={user} reload={query.reload} />}
    >
      {creating && (
        <CreateUser
          onClose={() => setCreating(false)}
          onCreated={() => {
            setCreating(false);
            query.reload();
          }}
        />
      )}
    </ListPage>
  );
}

function Row({ user, reload }: { user: User; reload: () => void }) {
  const own = user.id === currentUser.value?.id;
  const patch = async (body: Record<string, unknown>, done: string) => {
    await attempt(() => command("PATCH", `/users${idPath(user.id)}`, { body }), done);
    reload();
  };
  return (
    <tr>
      <td data-label="Name">
        {user.username}
        {own && <span class="chip chip-small">you</span>}
      </td>
      <td data-label="Role">
        <RoleSelect
          value={user.role}
          label={`Role of ${user.username}`}
          disabled={own}
          onValue={(role) => void patch({ role }, `${user.username} is now ${role}.`)}
        />
      </td>
      <td data-label="Sites">{user.sites === null ? "all" : user.sites.join(", ")}</td>
      <td data-label="Last signed in">
        <Ago at={user.last_login_at} why="Never signed in" />
      </td>
      <td data-label="State">
        <StatusMark tone={user.disabled ? "none" : "ok"} word={user.disabled ? "disabled" : "active"} />
      </td>
      <td class="cell-actions">
        {!own && (
          <button
            type="button"
            class="btn btn-sm btn-outline-secondary"
            onClick={() =>
              void patch(
                { disabled: !user.disabled },
                user.disabled ? `${user.username} may sign in again.` : `${user.username} can no longer sign in.`,
              )
            }
          >
            {user.disabled ? "Enable" : "Disable"}
          </button>
        )}
      </td>
    </tr>
  );
}

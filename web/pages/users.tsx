// People with an account; admins only.
import { useState } from "preact/hooks";
import { createUserSchema, pageOf, ROLES, type Role, type User, userSchema } from "#contract/api";
import { LIMITS } from "#contract/limits";
import { fieldErrors } from "#contract/problem";
import { command, get, idPath } from "../api.ts";
import { useQuery } from "../hooks.ts";
import { Ago } from "../parts/ago.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Field, TextField } from "../parts/field.tsx";
import { Icon } from "../parts/icon.tsx";
import { ListPage } from "../parts/list-page.tsx";
import { StatusMark } from "../parts/status.tsx";
import { attempt, toast } from "../parts/toasts.tsx";
import { fieldMap, messageOf, refusedFields } from "../problem.ts";
import { currentUser } from "../session.ts";

const userPage = pageOf(userSchema);

const ROLE_HINT: Record<Role, string> = {
  viewer: "reads everything",
  user: "also manages clients and tests",
  admin: "may do everything",
};

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

function RoleSelect({
  value,
  onValue,
  label,
  disabled = false,
}: {
  value: Role;
  onValue: (role: Role) => void;
  label: string;
  disabled?: boolean;
}) {
  return (
    <select
      class="form-select form-select-sm"
      aria-label={label}
      disabled={disabled}
      value={value}
      onChange={(event) => {
        const chosen = ROLES.find((role) => role === event.currentTarget.value);
        if (chosen) onValue(chosen);
      }}
    >
      {ROLES.map((role) => (
        <option value={role} title={ROLE_HINT[role]}>
          {role}
        </option>
      ))}
    </select>
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

function CreateUser({ onClose, onCreated }: { onClose: () => void; onCreated: () => void }) {
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [errors, setErrors] = useState<Record<string, string>>({});
  const submit = async () => {
    const body = { username, password, role };
    const checked = createUserSchema.safeParse(body);
    if (!checked.success) return setErrors(fieldMap(fieldErrors(checked.error)));
    try {
      await command("POST", "/users", { body });
      toast(`${username} may sign in now.`);
      onCreated();
    } catch (error) {
      setErrors({ ...refusedFields(error), form: messageOf(error) });
    }
  };
  return (
    <Dialog title="New user" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <div class="dialog-body">
          <TextField
            label="User name"
            value={username}
            onValue={setUsername}
            error={errors.username}
            autoComplete="off"
            autoFocus
          />
          <TextField
            label="Password"
            type="password"
            value={password}
            onValue={setPassword}
            error={errors.password}
            autoComplete="new-password"
            hint={`At least ${LIMITS.password.min} characters; hand it over safely.`}
          />
          <Field label="Role" hint={ROLE_HINT[role]}>
            {() => <RoleSelect value={role} label="Role" onValue={setRole} />}
          </Field>
          {errors.form && (
            <p class="field-error" role="alert">
              {errors.form}
            </p>
          )}
        </div>
        <footer class="dialog-foot">
          <button type="submit" class="btn btn-primary">
            Create the user
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

// Making an account for somebody.
import { useState } from "preact/hooks";
import { createUserSchema, type Role } from "#contract/api";
import { LIMITS } from "#contract/limits";
import { fieldErrors } from "#contract/problem";
import { command } from "../api.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Field, TextField } from "../parts/field.tsx";
import { Form, FormError } from "../parts/form.tsx";
import { ROLE_HINT, RoleSelect } from "../parts/role-select.tsx";
import { toast } from "../parts/toasts.tsx";
import { fieldMap } from "../problem.ts";
import { type FieldMessages, useSubmit } from "../state/use-submit.ts";

export function CreateUser({ onClose, onCreated }: { onClose: () => void; onCreated: () => void }) {
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const body = { username, password, role };
  const check = (): FieldMessages => {
    const checked = createUserSchema.safeParse(body);
    return checked.success ? {} : fieldMap(fieldErrors(checked.error));
  };
  const { errors, busy, submit } = useSubmit(check, async () => {
    await command("POST", "/users", { body });
    toast(`${username} may sign in now.`);
    onCreated();
  });
  return (
    <Dialog title="New user" onClose={onClose}>
      <Form onSubmit={submit}>
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
            {({ id }) => <RoleSelect id={id} value={role} onValue={setRole} />}
          </Field>
          <FormError text={errors.form} />
        </div>
        <footer class="dialog-foot">
          <button type="submit" class="btn btn-primary" disabled={busy}>
            Create the user
          </button>
        </footer>
      </Form>
    </Dialog>
  );
}

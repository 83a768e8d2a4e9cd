// Signing in.

import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { sessionSchema, setupStateSchema, signInSchema } from "#contract/api";
import { get, request } from "../api.ts";
import { useQuery } from "../hooks.ts";
import { Door } from "../parts/door.tsx";
import { TextField } from "../parts/field.tsx";
import { Form, FormError } from "../parts/form.tsx";
import { Icon } from "../parts/icon.tsx";
import { safeNext } from "../safe-next.ts";
import { signedIn } from "../session.ts";
import { type FieldMessages, useSubmit } from "../state/use-submit.ts";

export function LoginPage() {
  const setup = useQuery("setup", (signal) => get("/setup", setupStateSchema, signal));
  if (!setup.data?.needed) return <SignIn />;
  return (
    <Door title="Almost there">
      <p>
        <Icon name="terminal" /> StreamSwarm has no account yet. Open the setup link that <code>npm start</code> printed in its
        terminal; it works once.
      </p>
      <button type="button" class="btn btn-outline-secondary" onClick={setup.reload}>
        Look again
      </button>
    </Door>
  );
}

function SignIn() {
  const { query, route } = useLocation();
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const body = { username, password };
  const { errors, busy, submit } = useSubmit(
    (): FieldMessages => (signInSchema.safeParse(body).success ? {} : { form: "Enter user name and password." }),
    async () => {
      signedIn(await request("POST", "/session", sessionSchema, { body }));
      route(safeNext(query.next), true);
    },
  );
  return (
    <Door title="Sign in">
      <Form onSubmit={submit}>
        <TextField
          label="User name"
          value={username}
          onValue={setUsername}
          autoComplete="username"
          testId="login-username"
          autoFocus
        />
        <TextField
          label="Password"
          type="password"
          value={password}
          onValue={setPassword}
          autoComplete="current-password"
          testId="login-password"
        />
        <FormError text={errors.form} />
        <button type="submit" class="btn btn-primary w-100" disabled={busy} data-testid="login-submit">
          Sign in
        </button>
      </Form>
    </Door>
  );
}

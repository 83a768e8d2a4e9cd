// The very first account, made with the one-time link of `npm start`.

import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { sessionSchema, setupSchema } from "#contract/api";
import { LIMITS } from "#contract/limits";
import { fieldErrors } from "#contract/problem";
import { request } from "../api.ts";
import { Door } from "../parts/door.tsx";
import { TextField } from "../parts/field.tsx";
import { Form, FormError } from "../parts/form.tsx";
import { fieldMap } from "../problem.ts";
import { signedIn } from "../session.ts";
import { type FieldMessages, useSubmit } from "../state/use-submit.ts";

export function SetupPage() {
  const [code] = useState(() => decodeURIComponent(location.hash.slice(1)));
  if (code !== "") return <FirstAccount code={code} />;
  return (
    <Door title="The setup link is incomplete">
      <p>
        Its part after <code>#</code> is missing. Open the whole link that <code>npm start</code> printed.
      </p>
      <a class="btn btn-outline-secondary" href="/login">
        To the sign-in
      </a>
    </Door>
  );
}

function FirstAccount({ code }: { code: string }) {
  const { route } = useLocation();
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const body = { code, username, password };
  const check = (): FieldMessages => {
    const checked = setupSchema.safeParse(body);
    const found = checked.success ? {} : fieldMap(fieldErrors(checked.error));
    return password === again ? found : { ...found, again: "differs from the first" };
  };
  const { errors, busy, submit } = useSubmit(check, async () => {
    signedIn(await request("POST", "/setup", sessionSchema, { body }));
    route("/", true);
  });
  const secret = { type: "password", autoComplete: "new-password" } as const;
  return (
    <Door title="The first account">
      <p>It is an admin: it may do everything, including making more accounts.</p>
      <Form onSubmit={submit}>
        <TextField
          label="User name"
          value={username}
          onValue={setUsername}
          error={errors.username}
          autoComplete="username"
          testId="setup-username"
          autoFocus
        />
        <TextField
          {...secret}
          label="Password"
          value={password}
          onValue={setPassword}
          error={errors.password}
          hint={`At least ${LIMITS.password.min} characters.`}
          testId="setup-password"
        />
        <TextField
          {...secret}
          label="Password again"
          value={again}
          onValue={setAgain}
          error={errors.again}
          testId="setup-password2"
        />
        <FormError text={errors.form ?? (errors.code && `The setup code ${errors.code}`)} />
        <button type="submit" class="btn btn-primary w-100" disabled={busy} data-testid="setup-submit">
          Create the account
        </button>
      </Form>
    </Door>
  );
}

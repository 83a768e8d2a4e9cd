// Signing in, and the very first account.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { sessionSchema, setupSchema, setupStateSchema, signInSchema } from "#contract/api";
import { LIMITS } from "#contract/limits";
import { fieldErrors } from "#contract/problem";
import { get, request } from "../api.ts";
import { useQuery } from "../hooks.ts";
import { TextField } from "../parts/field.tsx";
import { Icon } from "../parts/icon.tsx";
import { fieldMap, messageOf, refusedFields } from "../problem.ts";
import { signedIn } from "../session.ts";

/** Only a path of this origin; anything else could lead a person away right after signing in. */
export function safeNext(next: string | undefined): string {
  return next && /^\/(?![/\\])/.test(next) && !next.startsWith("/login") ? next : "/";
}

function Door({ title, children }: { title: string; children: ComponentChildren }) {
  useEffect(() => {
    document.title = `${title} · StreamSwarm`;
  }, [title]);
  return (
    <main class="door">
      <div class="card door-card">
        <p class="door-brand">
          <img src="/favicon.svg" alt="" width="32" height="32" /> StreamSwarm
        </p>
        <h1>{title}</h1>
        {children}
      </div>
    </main>
  );
}

export function LoginPage() {
  const { query, route } = useLocation();
  const setup = useQuery("setup", (signal) => get("/setup", setupStateSchema, signal));
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    const checked = signInSchema.safeParse({ username, password });
    if (!checked.success) return setError("Enter user name and password.");
    setBusy(true);
    try {
      signedIn(await request("POST", "/session", sessionSchema, { body: checked.data }));
      route(safeNext(query.next), true);
    } catch (failure) {
      setError(messageOf(failure));
      setBusy(false);
    }
  };
  if (setup.data?.needed) {
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
  return (
    <Door title="Sign in">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
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
        {error && (
          <p class="field-error" role="alert">
            {error}
          </p>
        )}
        <button type="submit" class="btn btn-primary w-100" disabled={busy} data-testid="login-submit">
          Sign in
        </button>
      </form>
    </Door>
  );
}

export function SetupPage() {
  const { route } = useLocation();
  const [code] = useState(() => decodeURIComponent(location.hash.slice(1)));
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    const checked = setupSchema.safeParse({ code, username, password });
    const found: Record<string, string> = checked.success ? {} : fieldMap(fieldErrors(checked.error));
    if (password !== again) found.again = "differs from the first";
    setErrors(found);
    if (!checked.success || password !== again) return;
    setBusy(true);
    try {
      signedIn(await request("POST", "/setup", sessionSchema, { body: checked.data }));
      route("/", true);
    } catch (failure) {
      setErrors({ ...refusedFields(failure), form: messageOf(failure) });
      setBusy(false);
    }
  };
  if (code === "") {
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
  return (
    <Door title="The first account">
      <p>It is an admin: it may do everything, including making more accounts.</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
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
          label="Password"
          type="password"
          value={password}
          onValue={setPassword}
          error={errors.password}
          hint={`At least ${LIMITS.password.min} characters.`}
          autoComplete="new-password"
          testId="setup-password"
        />
        <TextField
          label="Password again"
          type="password"
          value={again}
          onValue={setAgain}
          error={errors.again}
          autoComplete="new-password"
          testId="setup-password2"
        />
        {(errors.form ?? errors.code) && (
          <p class="field-error" role="alert">
            {errors.form ?? `The setup code ${errors.code}`}
          </p>
        )}
        <button type="submit" class="btn btn-primary w-100" disabled={busy} data-testid="setup-submit">
          Create the account
        </button>
      </form>
    </Door>
  );
}

// The test form at work: what was typed, what is wrong and already said, and sending it.

import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { testSchema } from "#contract/api";
import { idPath, request } from "../api.ts";
import { toast } from "../parts/toasts.tsx";
import { ApiError, messageOf } from "../problem.ts";
import { bodyOf, byPath, errorsOf, type TestForm, withoutSameTarget } from "./test-form.ts";

export interface FormWork {
  readonly form: TestForm;
  readonly busy: boolean;
  /** It was sent and something is wrong. */
  readonly faulty: boolean;
  /** A wrong field hides under "Advanced". */
  readonly hiddenFault: boolean;
  /** What to say at a field: at once what the server said, else once it was touched. */
  readonly error: (path: string) => string | undefined;
  readonly change: (path: string, patch: Partial<TestForm>) => void;
  readonly submit: () => void;
}

/** Sends the form and answers the test's id. A PATCH may not change the type. */
async function save(form: TestForm, start: TestForm, testId: string | null): Promise<string> {
  const body = bodyOf(form);
  if (testId === null) return (await request("POST", "/tests", testSchema, { body })).id;
  const { type: _type, ...patch } = withoutSameTarget(body, form, start);
  return (await request("PATCH", `/tests${idPath(testId)}`, testSchema, { body: patch })).id;
}

export function useTestForm(start: TestForm, testId: string | null): FormWork {
  const { route } = useLocation();
  const [form, setForm] = useState(start);
  const [touched, setTouched] = useState<ReadonlySet<string>>(new Set());
  const [sent, setSent] = useState(false);
  const [refused, setRefused] = useState<Readonly<Record<string, string>>>({});
  const [busy, setBusy] = useState(false);
  const errors = errorsOf(form);
  const change = (path: string, patch: Partial<TestForm>) => {
    setForm((old) => ({ ...old, ...patch }));
    setTouched((old) => new Set(old).add(path));
    setRefused({});
  };
  const send = async () => {
    setSent(true);
    if (Object.keys(errors).length > 0) return;
    setBusy(true);
    try {
      const id = await save(form, start, testId);
      const [first] = form.target === "clients" ? form.clientIds : [];
      route(`/tests${idPath(id)}${first ? `?client=${encodeURIComponent(first)}` : ""}`);
    } catch (error) {
      if (error instanceof ApiError) setRefused(byPath(error.fields));
      toast(messageOf(error), "bad");
      setBusy(false);
    }
  };
  const faults = Object.keys({ ...errors, ...refused });
  return {
    form,
    busy,
    faulty: sent && faults.length > 0,
    hiddenFault: sent && faults.some((path) => path.startsWith("params.")),
    error: (path) => refused[path] ?? (sent || touched.has(path) ? errors[path] : undefined),
    change,
    submit: () => void send(),
  };
}

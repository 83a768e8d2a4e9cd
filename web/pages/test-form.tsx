// Creating and editing a test.

import { useState } from "preact/hooks";
import { useLocation, useRoute } from "preact-iso";
import { clientSchema, pageOf, testSchema } from "#contract/api";
import { LIMITS } from "#contract/limits";
import { TEST_TYPE_NAMES, type TestTypeName, testType } from "#contract/test-types/index";
import { get, idPath, request } from "../api.ts";
import { useQuery } from "../hooks.ts";
import { TextField } from "../parts/field.tsx";
import { Card, Page } from "../parts/page.tsx";
import { Failed, Skeleton } from "../parts/states.tsx";
import { toast } from "../parts/toasts.tsx";
import { ApiError, messageOf } from "../problem.ts";
import {
  bodyOf,
  byPath,
  emptyForm,
  errorsOf,
  formOfTest,
  hasPacketSize,
  type ParamField,
  paramFields,
  type TestForm,
} from "../state/test-form.ts";
import { PacketSize, TypeChoice } from "./test-form-choices.tsx";
import { Targets } from "./test-form-targets.tsx";

const clientPage = pageOf(clientSchema);

export function NewTestPage() {
  const { query } = useLocation();
  const [start] = useState(() => emptyForm(query.client ? [query.client] : []));
  return <FormPage title="New test" start={start} testId={null} />;
}

export function EditTestPage() {
  const { params } = useRoute();
  const id = params.id ?? "";
  const test = useQuery(`edit ${id}`, (signal) => get(`/tests${idPath(id)}`, testSchema, signal));
  if (test.data) return <FormPage key={id} title={`Edit ${test.data.name}`} start={formOfTest(test.data)} testId={id} />;
  return (
    <Page title="Edit a test">
      {test.error === undefined ? (
        <Skeleton lines={8} />
      ) : (
        <Failed what="This test cannot be read" error={test.error} retry={test.reload} />
      )}
    </Page>
  );
}

interface FormPageProps {
  title: string;
  start: TestForm;
  testId: string | null;
}

type Refused = Readonly<Record<string, string>>;

/** Sends the form and answers the test's id; a PATCH may not change the type. */
async function save(form: TestForm, testId: string | null): Promise<string> {
  const body = bodyOf(form);
  if (testId === null) return (await request("POST", "/tests", testSchema, { body })).id;
  const { type: _type, ...patch } = body;
  return (await request("PATCH", `/tests${idPath(testId)}`, testSchema, { body: patch })).id;
}

function FormPage({ title, start, testId }: FormPageProps) {
  const { route } = useLocation();
  const clients = useQuery("form clients", (signal) => get(`/clients?limit=${LIMITS.listPage}`, clientPage, signal));
  const [form, setForm] = useState(start);
  const [touched, setTouched] = useState<ReadonlySet<string>>(new Set());
  const [sent, setSent] = useState(false);
  const [refused, setRefused] = useState<Refused>({});
  const [busy, setBusy] = useState(false);
  const errors = errorsOf(form);
  const shown = (path: string) => refused[path] ?? (sent || touched.has(path) ? errors[path] : undefined);
  const change = (path: string, patch: Partial<TestForm>) => {
    setForm((old) => ({ ...old, ...patch }));
    setTouched((old) => new Set(old).add(path));
    setRefused({});
  };
  const submit = async () => {
    setSent(true);
    if (Object.keys(errors).length > 0) return;
    setBusy(true);
    try {
      const id = await save(form, testId);
      const [first] = form.target === "clients" ? form.clientIds : [];
      route(`/tests${idPath(id)}${first ? `?client=${encodeURIComponent(first)}` : ""}`);
    } catch (error) {
      if (error instanceof ApiError) setRefused(byPath(error.fields));
      toast(messageOf(error), "bad");
      setBusy(false);
    }
  };
  const hidden = Object.entries({ ...errors, ...refused }).filter(([path]) => sent && path.startsWith("params."));
  return (
    <Page title={title}>
      <form
        class="test-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <Card title="What to measure">
          <TypeChoice value={form.type} disabled={testId !== null} onValue={(type) => change("type", changeType(type))} />
          <TextField
            label="Destination"
            value={form.destination}
            onValue={(destination) => change("destination", { destination })}
            error={shown("destination")}
            hint="A host name or an IP address, without scheme, port or path."
            placeholder="crm.example or 192.0.2.10"
            testId="test-destination"
            autoFocus
          />
          <TextField
            label="Name"
            value={form.name}
            onValue={(name) => change("name", { name })}
            error={shown("name")}
            hint={`Empty takes “${form.destination.trim() === "" ? "destination and type" : bodyOf({ ...form, name: "" }).name}”.`}
            testId="test-name"
          />
          <TextField
            label="Interval in seconds"
            type="number"
            value={form.interval}
            onValue={(interval) => change("interval_s", { interval })}
            error={shown("interval_s")}
            hint={`From ${LIMITS.intervalMinS} to ${LIMITS.intervalMaxS.toLocaleString("en-GB")}; ${testType(form.type).default_interval_s} is usual.`}
          />
          {hasPacketSize(form.type) && (
            <PacketSize
              value={form.packetSize}
              error={shown("packet_size")}
              onValue={(packetSize) => change("packet_size", { packetSize })}
            />
          )}
          <Advanced
            form={form}
            error={shown}
            open={hidden.length > 0}
            onValue={(name, value) => change(`params.${name}`, { params: { ...form.params, [name]: value } })}
          />
        </Card>
        <Card title="Who measures">
          <Targets form={form} clients={clients} error={shown("client_ids") ?? shown("selector")} onChange={change} />
        </Card>
        <div class="form-end">
          <button type="submit" class="btn btn-primary" data-testid="test-submit" disabled={busy}>
            {testId === null ? "Create the test" : "Save"}
          </button>
          <a class="btn btn-outline-secondary" href={testId === null ? "/tests" : `/tests${idPath(testId)}`}>
            Cancel
          </a>
          {sent && Object.keys(errors).length > 0 && (
            <span class="field-error" role="alert">
              Some fields above need a look.
            </span>
          )}
        </div>
      </form>
    </Page>
  );
}

function changeType(type: TestTypeName): Partial<TestForm> {
  return TEST_TYPE_NAMES.includes(type) ? { type, params: {}, interval: String(testType(type).default_interval_s) } : {};
}

interface AdvancedProps {
  form: TestForm;
  error: (path: string) => string | undefined;
  open: boolean;
  onValue: (name: string, value: string) => void;
}

function Advanced({ form, error, open, onValue }: AdvancedProps) {
  return (
    <details class="advanced" open={open || Object.keys(form.params).length > 0}>
      <summary>Advanced</summary>
      <div class="advanced-grid">
        {paramFields(form.type).map((field) => (
          <Param
            key={field.name}
            field={field}
            value={form.params[field.name] ?? ""}
            error={error(`params.${field.name}`)}
            onValue={(value) => onValue(field.name, value)}
          />
        ))}
      </div>
    </details>
  );
}

function Param({
  field,
  value,
  error,
  onValue,
}: {
  field: ParamField;
  value: string;
  error: string | undefined;
  onValue: (value: string) => void;
}) {
  if (field.kind === "switch") {
    return (
      <label class="form-check form-switch">
        <input
          class="form-check-input"
          type="checkbox"
          checked={value === "true"}
          onChange={(event) => onValue(event.currentTarget.checked ? "true" : "")}
        />
        <span>
          {field.label} <span class="form-text">{field.hint}</span>
        </span>
      </label>
    );
  }
  if (field.kind === "choice") {
    return (
      <fieldset class="choices">
        <legend class="form-label">{field.label}</legend>
        {["", ...field.choices].map((choice) => (
          <button type="button" class="choice" aria-pressed={value === choice} onClick={() => onValue(choice)}>
            {choice === "" ? "any" : choice}
          </button>
        ))}
        <div class={error ? "field-error" : "form-text"}>{error ? `${field.label} ${error}` : field.hint}</div>
      </fieldset>
    );
  }
  return (
    <TextField
      label={field.label}
      type={field.kind === "number" ? "number" : "text"}
      step="any"
      value={value}
      onValue={onValue}
      error={error}
      hint={field.hint}
      placeholder={field.fallback === "" ? "automatic" : field.fallback}
    />
  );
}

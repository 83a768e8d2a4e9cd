// What a test measures: type, destination, interval, packet size and the type's own parameters.
import { LIMITS } from "#contract/limits";
import { testType } from "#contract/test-types/index";
import { TextField } from "../parts/field.tsx";
import { Card } from "../parts/page.tsx";
import { Shape } from "../parts/status.tsx";
import { budgetNote } from "../state/byte-budget.ts";
import { chosen, type ParamField, paramFields } from "../state/param-fields.ts";
import { bodyOf, changedType, clientCount, hasPacketSize, type TestForm, usualPacketSize } from "../state/test-form.ts";
import type { FormWork } from "../state/use-test-form.ts";
import { PacketSize, TypeChoice } from "./test-form-choices.tsx";
import { type Clients, DestinationFields } from "./test-form-destination.tsx";

interface WhatCardProps {
  work: FormWork;
  clients: Clients;
  fixedType: boolean;
}

export function WhatCard({ work, clients, fixedType }: WhatCardProps) {
  const { form, error, change } = work;
  const usual = testType(form.type).default_interval_s;
  return (
    <Card title="What to measure">
      <TypeChoice value={form.type} disabled={fixedType} onValue={(type) => change("type", changedType(type))} />
      <DestinationFields work={work} clients={clients} />
      <TextField
        label="Name"
        value={form.name}
        onValue={(name) => change("name", { name })}
        error={error("name")}
        hint={`Empty takes “${namesItself(form) ? bodyOf({ ...form, name: "" }).name : "destination and type"}”.`}
        testId="test-name"
      />
      <TextField
        label="Interval in seconds"
        type="number"
        value={form.interval}
        onValue={(interval) => change("interval_s", { interval })}
        error={error("interval_s")}
        hint={`From ${LIMITS.intervalMinS} to ${LIMITS.intervalMaxS.toLocaleString("en-GB")}; ${usual} is usual.`}
      />
      <BudgetWords work={work} clients={clients} />
      {hasPacketSize(form.type) && (
        <PacketSize
          value={form.packetSize}
          usual={usualPacketSize(form.type)}
          error={error("packet_size")}
          onValue={(packetSize) => change("packet_size", { packetSize })}
        />
      )}
      <Advanced work={work} />
    </Card>
  );
}

/** What a month may take from the lines of those who run it. */
function BudgetWords({ work: { form }, clients }: { work: FormWork; clients: Clients }) {
  const note = budgetNote({
    type: form.type,
    params: bodyOf(form).params,
    interval_s: Number(form.interval),
    clients: clientCount(form, clients.data?.items),
    mesh: form.aim === "mesh",
  });
  if (note === null) return null;
  return (
    <div class="field budget-note" data-testid="budget-note">
      <p class="form-text">{note.text}</p>
      {note.warning && (
        <p class="budget-warning" role="status">
          <Shape tone="warn" /> <span>{note.warning}</span>
        </p>
      )}
    </div>
  );
}

/** Whether there is a destination yet to name the test by. */
const namesItself = ({ aim, destination, peerId }: TestForm) =>
  aim === "mesh" || (aim === "client" ? peerId !== "" : destination.trim() !== "");

function Advanced({ work }: { work: FormWork }) {
  const { form, error, change } = work;
  return (
    <details class="advanced" open={work.hiddenFault || Object.keys(form.params).length > 0}>
      <summary>Advanced</summary>
      <div class="advanced-grid">
        {paramFields(form.type).map((field) => (
          <Param
            key={field.name}
            field={field}
            value={form.params[field.name] ?? ""}
            error={error(`params.${field.name}`)}
            onValue={(value) => change(`params.${field.name}`, { params: { ...form.params, [field.name]: value } })}
          />
        ))}
      </div>
    </details>
  );
}

/** Parameters that stand for nothing while empty; of the others the agent finds a value. */
const OPTIONAL = /^(expect_|headers$|alpn$|sip$)/;

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
      <label class="form-check form-switch param-switch">
        <input
          class="form-check-input"
          type="checkbox"
          checked={chosen(field, value) === "true"}
          onChange={(event) => {
            const on = String(event.currentTarget.checked);
            onValue(on === (field.fallback || "false") ? "" : on);
          }}
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
        {[...(field.fallback === "" ? [""] : []), ...field.choices.map(String)].map((choice) => (
          <button
            type="button"
            class="choice"
            aria-pressed={chosen(field, value) === choice}
            onClick={() => onValue(choice === field.fallback ? "" : choice)}
          >
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
      placeholder={field.fallback === "" ? (OPTIONAL.test(field.name) ? "none" : "automatic") : field.fallback}
    />
  );
}

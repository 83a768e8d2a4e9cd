// Making an API token, whose secret is shown once.
import { useState } from "preact/hooks";
import { type CreatedToken, createdTokenSchema, createTokenSchema } from "#contract/api";
import { fieldErrors } from "#contract/problem";
import { request } from "../api.ts";
import { CopyBlock } from "../parts/copy.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { TextField } from "../parts/field.tsx";
import { Form, FormError } from "../parts/form.tsx";
import { fieldMap } from "../problem.ts";
import { canWrite } from "../session.ts";
import { type FieldMessages, useSubmit } from "../state/use-submit.ts";

export function CreateToken({ onClose, onCreated }: { onClose: () => void; onCreated: () => void }) {
  const [made, setMade] = useState<CreatedToken | null>(null);
  const created = (token: CreatedToken) => {
    setMade(token);
    onCreated();
  };
  return (
    <Dialog title="New API token" onClose={onClose}>
      {made ? (
        <div class="dialog-body">
          <p>Copy it now: it is not shown again.</p>
          <CopyBlock text={made.secret} label="The token's secret" />
        </div>
      ) : (
        <TokenForm onCreated={created} />
      )}
    </Dialog>
  );
}

function TokenForm({ onCreated }: { onCreated: (token: CreatedToken) => void }) {
  const [name, setName] = useState("");
  const [write, setWrite] = useState(false);
  const body = { kind: "api", name, scopes: write ? ["read", "write"] : ["read"] };
  const check = (): FieldMessages => {
    const checked = createTokenSchema.safeParse(body);
    return checked.success ? {} : fieldMap(fieldErrors(checked.error));
  };
  const { errors, busy, submit } = useSubmit(check, async () =>
    onCreated(await request("POST", "/tokens", createdTokenSchema, { body })),
  );
  return (
    <Form onSubmit={submit}>
      <div class="dialog-body">
        <TextField
          label="Name"
          value={name}
          onValue={setName}
          error={errors.name}
          hint="What it is for, so that you recognise it later."
          autoFocus
        />
        <label class="form-check">
          <input
            class="form-check-input"
            type="checkbox"
            checked={write}
            disabled={!canWrite.value}
            onChange={(event) => setWrite(event.currentTarget.checked)}
          />
          It may change things, not only read
        </label>
        <FormError text={errors.form} />
      </div>
      <footer class="dialog-foot">
        <button type="submit" class="btn btn-primary" disabled={busy}>
          Create it
        </button>
      </footer>
    </Form>
  );
}

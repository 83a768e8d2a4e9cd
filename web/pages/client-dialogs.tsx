// Changing, retiring and deleting a client.

import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { type Client, patchClientSchema } from "#contract/api";
import { type FieldError, fieldErrors } from "#contract/problem";
import { command, idPath } from "../api.ts";
import { Confirm, Dialog } from "../parts/dialog.tsx";
import { TextField } from "../parts/field.tsx";
import { Form, FormError } from "../parts/form.tsx";
import { toast } from "../parts/toasts.tsx";
import { fieldMap } from "../problem.ts";
import { type FieldMessages, useSubmit } from "../state/use-submit.ts";
import { tagsFromText, tagsText } from "../tags.ts";

/** Errors inside the tags belong to the one field that holds them all. */
const topFields = (errors: readonly FieldError[]) =>
  fieldMap(errors.map(({ path, message }) => ({ path: path.split(".")[0] ?? "", message })));

interface DialogProps {
  client: Client;
  onClose: () => void;
  onDone: () => void;
}

export function EditClient({ client, onClose, onDone }: DialogProps) {
  const [name, setName] = useState(client.name);
  const [site, setSite] = useState(client.site);
  const [tags, setTags] = useState(tagsText(client.tags));
  const body = { name, site, tags: tagsFromText(tags) };
  const check = (): FieldMessages => {
    const checked = patchClientSchema.safeParse(body);
    return checked.success ? {} : topFields(fieldErrors(checked.error));
  };
  const { errors, busy, submit } = useSubmit(check, async () => {
    await command("PATCH", `/clients${idPath(client.id)}`, { body });
    toast("Saved.");
    onDone();
  });
  return (
    <Dialog title={`Edit ${client.name}`} onClose={onClose}>
      <Form onSubmit={submit}>
        <div class="dialog-body">
          <TextField label="Name" value={name} onValue={setName} error={errors.name} />
          <TextField label="Site" value={site} onValue={setSite} error={errors.site} />
          <TextField
            label="Tags"
            value={tags}
            onValue={setTags}
            error={errors.tags}
            hint="For example: role=gateway, floor=2. Tests can select clients by them."
          />
          <FormError text={errors.form} />
        </div>
        <footer class="dialog-foot">
          <button type="button" class="btn btn-outline-secondary" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="btn btn-primary" disabled={busy}>
            Save
          </button>
        </footer>
      </Form>
    </Dialog>
  );
}

export function RetireClient({ client, onClose, onDone }: DialogProps) {
  return (
    <Confirm
      title={`Retire ${client.name}?`}
      action="Retire it"
      done={`${client.name} is retired.`}
      run={() => command("PATCH", `/clients${idPath(client.id)}`, { body: { status: "retired" } })}
      onClose={onClose}
      onDone={onDone}
    >
      <p>Its token stops working and it runs no more tests. What it measured stays.</p>
    </Confirm>
  );
}

export function DeleteClient({ client, onClose }: { client: Client; onClose: () => void }) {
  const { route } = useLocation();
  return (
    <Confirm
      title={`Delete ${client.name}?`}
      action="Delete it and its data"
      done={`${client.name} was deleted.`}
      run={() => command("DELETE", `/clients${idPath(client.id)}`)}
      onClose={onClose}
      onDone={() => route("/")}
    >
      <p>The client and everything it measured are removed. This cannot be undone; retiring keeps the data.</p>
    </Confirm>
  );
}

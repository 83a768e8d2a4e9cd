// Sending a form: checked first, busy meanwhile, every refused field shown.
import { useState } from "preact/hooks";
import { messageOf, refusedFields } from "../problem.ts";

export type FieldMessages = Readonly<Record<string, string>>;

export interface Submit {
  /** By field; `form` is what the server said of the whole. */
  readonly errors: FieldMessages;
  readonly busy: boolean;
  readonly submit: () => void;
}

/** `check` answers every field that is wrong; `send` runs when there is none. */
export function useSubmit(check: () => FieldMessages, send: () => Promise<unknown>): Submit {
  const [errors, setErrors] = useState<FieldMessages>({});
  const [busy, setBusy] = useState(false);
  const submit = () => {
    const found = check();
    setErrors(found);
    if (Object.keys(found).length > 0) return;
    setBusy(true);
    send()
      .catch((failure: unknown) => setErrors({ ...refusedFields(failure), form: messageOf(failure) }))
      .finally(() => setBusy(false));
  };
  return { errors, busy, submit };
}

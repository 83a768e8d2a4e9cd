// A labelled form field with its hint and its error.
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface FieldIds {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": boolean | undefined;
}

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  error?: string | undefined;
  /** Draws the control with the ids that tie it to label, hint and error. */
  children: (ids: FieldIds) => ComponentChildren;
}

/** The contract's messages continue the field's name ("is empty"); the schema library's own begin anew. */
const sentence = (label: string, error: string) => (/^\p{Lu}/u.test(error) ? `${label}: ${error}` : `${label} ${error}`);

export function Field({ label, hint, error, children }: FieldProps) {
  const id = useId();
  const note = error !== undefined || hint !== undefined ? `${id}-note` : undefined;
  return (
    <div class="field">
      <label class="form-label" for={id}>
        {label}
      </label>
      {children({ id, "aria-describedby": note, "aria-invalid": error === undefined ? undefined : true })}
      {note && (
        <div id={note} class={error ? "field-error" : "form-text"}>
          {error ? sentence(label, error) : hint}
        </div>
      )}
    </div>
  );
}

interface TextFieldProps {
  label: string;
  value: string;
  onValue: (value: string) => void;
  hint?: ComponentChildren;
  error?: string | undefined;
  type?: "text" | "password" | "number";
  testId?: string;
  placeholder?: string;
  autoComplete?: string;
  autoFocus?: boolean;
  onBlur?: () => void;
  step?: string;
}

export function TextField({ label, hint, error, value, onValue, testId, type = "text", ...rest }: TextFieldProps) {
  return (
    <Field label={label} hint={hint} error={error}>
      {(ids) => (
        <input
          {...ids}
          {...rest}
          class={`form-control${error ? " is-invalid" : ""}`}
          // The typings tie roles to single types; any of ours fits.
          type={type as "text"}
          value={value}
          data-testid={testId}
          spellcheck={false}
          onInput={(event) => onValue(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

// A form the page sends itself; the first wrong field is gone to. With what the server said of the whole at its end.
import type { ComponentChildren } from "preact";

interface FormProps {
  onSubmit: () => void;
  class?: string;
  children: ComponentChildren;
}

export function Form({ onSubmit, class: name, children }: FormProps) {
  return (
    <form
      noValidate
      class={name}
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit();
        const form = event.currentTarget;
        requestAnimationFrame(() => form.querySelector<HTMLElement>("[aria-invalid]")?.focus());
      }}
    >
      {children}
    </form>
  );
}

export function FormError({ text }: { text: string | undefined }) {
  if (!text) return null;
  return (
    <p class="field-error" role="alert">
      {text}
    </p>
  );
}

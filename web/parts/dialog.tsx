// A modal dialog: the browser's own, which traps focus and closes on Escape.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Icon } from "./icon.tsx";
import { attempt } from "./toasts.tsx";

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}

export function Dialog({ title, onClose, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    element.current?.showModal();
  }, []);
  return (
    <dialog ref={element} class="dialog" aria-labelledby={titleId} onClose={onClose}>
      <header class="dialog-head">
        <h2 id={titleId}>{title}</h2>
        <button type="button" class="btn-icon" aria-label="Close" onClick={() => element.current?.close()}>
          <Icon name="x-lg" />
        </button>
      </header>
      {children}
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  children: ComponentChildren;
  action: string;
  done: string;
  run: () => Promise<unknown>;
  onClose: () => void;
  /** After it went well. */
  onDone: () => void;
}

/** Asks before something that cannot be undone. */
export function Confirm({ title, children, action, done, run, onClose, onDone }: ConfirmProps) {
  const [busy, setBusy] = useState(false);
  const confirm = async () => {
    setBusy(true);
    if (await attempt(run, done)) onDone();
    else setBusy(false);
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="dialog-body">{children}</div>
      <footer class="dialog-foot">
        <button type="button" class="btn btn-outline-secondary" onClick={onClose}>
          Cancel
        </button>
        <button type="button" class="btn btn-danger" disabled={busy} onClick={() => void confirm()}>
          {action}
        </button>
      </footer>
    </Dialog>
  );
}

// Short messages after an action.
import { signal } from "@preact/signals";
import { messageOf } from "../problem.ts";
import { Icon } from "./icon.tsx";

interface Toast {
  id: number;
  tone: "ok" | "bad";
  text: string;
}

const SHOWN_MS = 5000;
const FAILURE_SHOWN_MS = 12_000;

const toasts = signal<readonly Toast[]>([]);
let lastId = 0;

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

export function toast(text: string, tone: Toast["tone"] = "ok"): void {
  lastId += 1;
  const id = lastId;
  toasts.value = [...toasts.value.slice(-3), { id, tone, text }];
  setTimeout(() => dismiss(id), tone === "ok" ? SHOWN_MS : FAILURE_SHOWN_MS);
}

/** Runs an action and says how it went; true when it went well. */
export async function attempt(action: () => Promise<unknown>, done: string): Promise<boolean> {
  try {
    await action();
    toast(done);
    return true;
  } catch (error) {
    toast(messageOf(error), "bad");
    return false;
  }
}

export function Toasts() {
  return (
    <div class="toasts" aria-live="polite">
      {toasts.value.map((one) => (
        <div key={one.id} class={`toast show toast-${one.tone}`} role={one.tone === "bad" ? "alert" : "status"}>
          <Icon name={one.tone === "ok" ? "check-lg" : "exclamation-triangle"} />
          <span>{one.text}</span>
          <button type="button" class="btn-icon" aria-label="Dismiss" onClick={() => dismiss(one.id)}>
            <Icon name="x-lg" />
          </button>
        </div>
      ))}
    </div>
  );
}

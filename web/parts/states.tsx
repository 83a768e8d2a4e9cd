// What a page shows while it has nothing: loading, failed, empty.
import type { ComponentChildren } from "preact";
import { messageOf } from "../problem.ts";
import { Icon } from "./icon.tsx";

export function Skeleton({ lines = 3, label = "Loading" }: { lines?: number; label?: string }) {
  return (
    <div class="skeleton" role="status" aria-label={label}>
      {Array.from({ length: lines }, (_, index) => (
        <span class={`skeleton-line skeleton-${index % 3}`} />
      ))}
    </div>
  );
}

export function Failed({ error, retry, what }: { error: unknown; retry?: () => void; what: string }) {
  return (
    <div class="state state-failed" role="alert">
      <Icon name="exclamation-triangle" />
      <div>
        <strong>{what}</strong>
        <p>{messageOf(error)}</p>
        {retry && (
          <button type="button" class="btn btn-sm btn-outline-secondary" onClick={retry}>
            Try again
          </button>
        )}
      </div>
    </div>
  );
}

/** What is shown is older than it should be, since reading it again failed. */
export function Stale({ error, retry }: { error: unknown; retry: () => void }) {
  return (
    <div class="alert alert-warning stale" role="alert">
      <span>This could not be refreshed: {messageOf(error)}</span>
      <button type="button" class="btn btn-sm btn-outline-secondary" onClick={retry}>
        Try again
      </button>
    </div>
  );
}

export function Empty({ icon, title, children }: { icon: string; title: string; children: ComponentChildren }) {
  return (
    <div class="state state-empty">
      <Icon name={icon} />
      <div>
        <strong>{title}</strong>
        {children}
      </div>
    </div>
  );
}

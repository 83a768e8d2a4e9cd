// What can be done with a test: run, pause, edit, delete.

import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { runReplySchema, type Test } from "#contract/api";
import { command, idPath, request } from "../api.ts";
import { Confirm } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { attempt } from "../parts/toasts.tsx";
import { canWrite } from "../session.ts";
import type { RunProgress } from "../state/progress.ts";

interface TestActionsProps {
  test: Test;
  onChange: () => void;
  /** What the test does just now on the client that is shown. */
  run: RunProgress | null;
}

export function TestActions({ test, onChange, run: running }: TestActionsProps) {
  const { route } = useLocation();
  const [deleting, setDeleting] = useState(false);
  const [busy, setBusy] = useState(false);
  if (!canWrite.value) return null;
  const path = `/tests${idPath(test.id)}`;
  const run = async (action: () => Promise<unknown>, done: string) => {
    setBusy(true);
    if (await attempt(action, done)) onChange();
    setBusy(false);
  };
  return (
    <div class="actions">
      <button
        type="button"
        class="btn btn-sm btn-primary btn-run"
        disabled={busy}
        style={running?.fraction == null ? undefined : { "--run": `${Math.round(running.fraction * 100)}%` }}
        onClick={() =>
          void run(() => request("POST", `${path}/run`, runReplySchema), "A run was ordered; its result appears in a moment.")
        }
      >
        <Icon name="play-fill" /> {running?.fraction == null ? "Run now" : `Running ${Math.round(running.fraction * 100)} %`}
      </button>
      <button
        type="button"
        class="btn btn-sm btn-outline-secondary"
        disabled={busy}
        onClick={() =>
          void run(() => command("POST", `${path}/${test.enabled ? "pause" : "resume"}`), test.enabled ? "Paused." : "Resumed.")
        }
      >
        <Icon name={test.enabled ? "pause-fill" : "play-fill"} /> {test.enabled ? "Pause" : "Resume"}
      </button>
      <a class="btn btn-sm btn-outline-secondary" href={`${path}/edit`}>
        <Icon name="pencil" /> Edit
      </a>
      <button
        type="button"
        class="btn btn-sm btn-outline-secondary"
        aria-label="Delete this test"
        onClick={() => setDeleting(true)}
      >
        <Icon name="trash" />
      </button>
      {deleting && (
        <Confirm
          title={`Delete ${test.name}?`}
          action="Delete the test"
          done="The test was deleted."
          run={() => command("DELETE", path)}
          onClose={() => setDeleting(false)}
          onDone={() => route("/tests")}
        >
          <p>
            Every client stops running it and its results are no longer shown. This cannot be undone; pausing keeps everything.
          </p>
        </Confirm>
      )}
    </div>
  );
}

// A run under way: how far it is, and what it is doing just now.
import type { RunProgress } from "../state/progress.ts";

const percent = (fraction: number) => Math.round(fraction * 100);

interface ProgressProps {
  run: RunProgress | null;
  /** What runs, for those who cannot see the bar. */
  label: string;
  class?: string;
}

export function Progress({ run, label, class: extra = "" }: ProgressProps) {
  if (run === null) return null;
  const { fraction, note } = run;
  const done = fraction === null ? null : percent(fraction);
  const text = [done === null ? null : `${done} %`, note].filter((part) => part !== null).join(", ");
  return (
    <span class={`progress-run ${extra}`} data-testid="run-progress">
      <span
        class="progress-track"
        role="progressbar"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={done ?? undefined}
        aria-valuetext={text === "" ? "measuring" : text}
      >
        <span
          class={`progress-fill${done === null ? " progress-unknown" : ""}`}
          style={done === null ? undefined : { width: `${done}%` }}
        />
      </span>
      <span class="progress-text" aria-hidden="true">
        {done !== null && (
          <b>
            {done}
            <span class="unit"> %</span>
          </b>
        )}{" "}
        {note ?? (done === null ? "measuring…" : "")}
      </span>
    </span>
  );
}

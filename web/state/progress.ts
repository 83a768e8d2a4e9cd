// Runs under way, as live frames tell of them. One that is not heard of any more is over, or its line is gone.
import type { LiveFrame } from "#contract/api";

export interface RunProgress {
  readonly testId: string | null;
  readonly peerId: string | null;
  readonly runId: string | null;
  /** 0 to 1; null where the probe cannot tell. */
  readonly fraction: number | null;
  readonly note: string | null;
  /** When it was heard of last, epoch ms. */
  readonly at: number;
}

export type Runs = ReadonlyMap<string, RunProgress>;

export const NO_RUNS: Runs = new Map();

/** A probe that tells how far it is tells so at least this often. */
const QUIET_MS = 15_000;
/** One that only says that it began may be busy for as long as any test may take. */
const SILENT_RUN_MS = 120_000;

type ProgressFrame = Extract<LiveFrame, { type: "progress" }>;

const keyOf = ({ run_id, test_id, peer_id }: ProgressFrame) => `${run_id ?? ""} ${test_id ?? ""} ${peer_id ?? ""}`;

function withProgress(runs: Runs, frame: ProgressFrame, at: number): Runs {
  const key = keyOf(frame);
  const next = new Map(runs);
  if (frame.state === "finished") {
    next.delete(key);
    return next;
  }
  const known = runs.get(key);
  return next.set(key, {
    testId: frame.test_id,
    peerId: frame.peer_id,
    runId: frame.run_id,
    // A frame without a figure takes nothing back, and a bar never runs backwards within one run.
    fraction: frame.fraction === null ? (known?.fraction ?? null) : Math.max(frame.fraction, known?.fraction ?? 0),
    note: frame.note ?? known?.note ?? null,
    at,
  });
}

/** The runs after a frame that came at `at`; a stored result ends its run even where nobody said "finished". */
export function applyProgress(runs: Runs, frame: LiveFrame, at: number): Runs {
  if (frame.type === "progress") return withProgress(runs, frame, at);
  const result = frame.type === "result" ? frame.result : undefined;
  if (result === undefined || runs.size === 0) return runs;
  const ended = [...runs].filter(
    ([, run]) => run.testId === result.test_id && run.peerId === result.peer_id && run.runId === result.run_id,
  );
  if (ended.length === 0) return runs;
  const next = new Map(runs);
  for (const [key] of ended) next.delete(key);
  return next;
}

const isHeard = (run: RunProgress, now: number) => now - run.at < (run.fraction === null ? SILENT_RUN_MS : QUIET_MS);

/** What a test is doing now; of several runs the one that tells most. `peerId` undefined asks for any peer. */
export function runOf(runs: Runs, now: number, testId: string, peerId?: string | null): RunProgress | null {
  const own = [...runs.values()].filter(
    (run) => run.testId === testId && (peerId === undefined || run.peerId === peerId) && isHeard(run, now),
  );
  return own.sort((a, b) => (b.fraction ?? -1) - (a.fraction ?? -1))[0] ?? null;
}

// The runs under way on one client's live line.
import { useState } from "preact/hooks";
import type { LiveFrame } from "#contract/api";
import { now } from "../clock.ts";
import type { LiveState } from "../live.ts";
import { applyProgress, NO_RUNS, type RunProgress, type Runs, runOf } from "./progress.ts";

/** What a test does just now, against one peer where `peerId` names it; null while nothing runs. */
export type RunNow = (testId: string, peerId?: string | null) => RunProgress | null;

export interface LiveRuns {
  readonly take: (frame: LiveFrame) => void;
  /** Nothing is known to run while the line that would tell is down. */
  readonly while: (live: LiveState) => RunNow;
}

export function useRuns(): LiveRuns {
  const [runs, setRuns] = useState<Runs>(NO_RUNS);
  return {
    take: (frame) => setRuns((old) => applyProgress(old, frame, Date.now())),
    while: (live) => (testId, peerId) => (live === "live" ? runOf(runs, now.value, testId, peerId) : null),
  };
}

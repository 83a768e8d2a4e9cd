// How far a run is, for whoever watches: not more often than somebody can look.
import type { ProgressFrame } from "./link.ts";

const EVERY_MS = 250;
const NOTE_LENGTH = 200;

export interface ToldRun {
  readonly run_id: string | null;
  readonly test_id: string | null;
}

export class RunProgress {
  readonly #run: ToldRun;
  readonly #send: (frame: ProgressFrame) => void;
  readonly #watched: () => boolean;
  #at = Number.NEGATIVE_INFINITY;
  #told = false;

  /** `watched`: whether frames are of use to anybody just now. */
  constructor(run: ToldRun, send: (frame: ProgressFrame) => void, watched: () => boolean) {
    this.#run = run;
    this.#send = send;
    this.#watched = watched;
  }

  started(): void {
    this.#tell({ ...this.#run, state: "started" });
  }

  /** `fraction` is 0 to 1; `note` says what is being measured. */
  running(fraction: number, note: string): void {
    const now = performance.now();
    if (!Number.isFinite(fraction) || now - this.#at < EVERY_MS || !this.#watched()) return;
    this.#at = now;
    this.#tell({ ...this.#run, state: "running", fraction, note: note.slice(0, NOTE_LENGTH) });
  }

  /** Said where something was said before, so that no bar stands still for ever. */
  finished(): void {
    if (this.#told) this.#tell({ ...this.#run, state: "finished" });
  }

  #tell(frame: ProgressFrame): void {
    this.#told = true;
    this.#send(frame);
  }
}

// The page's palette for a canvas, which cannot use CSS variables itself.
import { LOSS_VARIABLE, type LossLevel } from "../loss.ts";
import { PHASE_NAMES, type PhaseName, phaseVariable } from "../phases.ts";

export interface Colours {
  readonly line: string;
  readonly muted: string;
  readonly text: string;
  readonly accent: string;
  readonly second: string;
  readonly third: string;
  readonly fourth: string;
  readonly bad: string;
  readonly smoke: string;
  readonly hatch: string;
  readonly loss: Readonly<Record<LossLevel, string>>;
  readonly phase: Readonly<Record<PhaseName, string>>;
}

export function readColours(): Colours {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(name).trim();
  return {
    line: read("--ss-line"),
    muted: read("--ss-muted"),
    text: read("--ss-text"),
    accent: read("--ss-accent"),
    second: read("--ss-loss-mid"),
    third: read("--ss-phase-tls"),
    fourth: read("--ss-phase-wait"),
    bad: read("--ss-bad"),
    smoke: read("--ss-smoke"),
    hatch: read("--ss-hatch"),
    loss: {
      unknown: read(LOSS_VARIABLE.unknown),
      none: read(LOSS_VARIABLE.none),
      low: read(LOSS_VARIABLE.low),
      mid: read(LOSS_VARIABLE.mid),
      high: read(LOSS_VARIABLE.high),
    },
    phase: Object.fromEntries(PHASE_NAMES.map((name) => [name, read(phaseVariable(name))])) as Record<PhaseName, string>,
  };
}

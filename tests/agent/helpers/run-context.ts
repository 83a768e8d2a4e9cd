// What surrounds a probe that a test runs by itself: nobody watches, nobody objects, no second party.
import type { Budget } from "../../../agent/budget.ts";
import type { RunContext } from "../../../agent/probes/probe.ts";

export const runContext = (budget: Budget): RunContext => ({
  budget,
  series: undefined,
  watched: false,
  show: () => undefined,
  progress: () => undefined,
  session: undefined,
  edge: undefined,
  objection: () => undefined,
  measuring: () => undefined,
});

// A test of the lab suite: gets the lab, clean, or says why this machine has none.
import { afterAll, beforeAll, inject, type TestContext, test } from "vitest";
import { Lab } from "./lab.ts";
import type { Random } from "./random.ts";
import { seeded } from "./random.ts";
import { bound, type Row, Sheet, settle } from "./rows.ts";

declare module "vitest" {
  interface ProvidedContext {
    labId: string;
    labMissing: string | null;
    labSeed: number;
    labRows: string;
    labFull: boolean;
  }
}

/** Whether this is the long form, `npm run lab`. */
export const FULL: boolean = inject("labFull");

export const random: Random = seeded(inject("labSeed"));

/** Writes rows and fails the test when one of them is bad. */
export const report = (rows: readonly Row[]): void => settle(inject("labRows"), rows);

const lab = new Lab(inject("labId"));

/** A test of `work` in the lab; listed by name with the reason where the machine lacks something. */
export function labTest(name: string, work: (lab: Lab, context: TestContext) => Promise<void>): void {
  test(name, async (context) => {
    const why = inject("labMissing");
    if (why !== null) context.skip(why);
    else await work(lab, context);
  });
}

beforeAll(async () => {
  if (inject("labMissing") === null) await lab.up();
});

// A packet that the emulator lost without having chosen to would make every count in this file a lie.
afterAll(async () => {
  if (inject("labMissing") !== null) return;
  const overruns = await lab.overruns();
  const sheet = new Sheet({ bar: "lab", setting: "whole file", family: null });
  sheet.judge("packets lost by accident", bound("0"), overruns, overruns === 0);
  report(sheet.rows);
});

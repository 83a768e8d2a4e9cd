// The self-test on an office's host, and what its tests let it judge.
import { fileURLToPath } from "node:url";
import type { SelfTest as Reading } from "#contract/host-detail";
import type { Measurement } from "#contract/result";
import { EDGE, Office, type Subject, TARGET } from "./office.ts";

const SUBJECT = fileURLToPath(new URL("self-test-subject.ts", import.meta.url));
const WORLD = fileURLToPath(new URL("office-world.ts", import.meta.url));
export const SERVER = `http://${EDGE}:8787`;
/** Without a program to ask: what a look finds out, it finds out by itself. */
export const NO_TOOLS = { STREAMSWARM_TOOL_PATH: "/nonexistent" };
export interface Sample {
  readonly metrics: Record<string, number | null>;
  readonly reasons: Record<string, string>;
  readonly detail: { readonly self_test?: Reading };
  readonly flags: readonly string[];
}
export interface Judged {
  readonly result: Measurement;
  readonly held_ms: number;
}

export const DEAD: Omit<Measurement, "started_at" | "duration_ms"> = {
  type: "ping",
  destination: TARGET,
  address: TARGET,
  status: "failed",
  error: { code: "no_reply", source: "network", message: "none of 5 echo requests was answered" },
  metrics: { ping_sent: 5, ping_received: 0, ping_loss_pct: 100, ping_rtt_median: null },
  reasons: { ping_rtt_median: "timeout" },
  detail: { rtts: [null, null, null, null, null] },
  flags: [],
};
export const HALF: typeof DEAD = {
  ...DEAD,
  status: "partial",
  error: null,
  metrics: { ping_sent: 5, ping_received: 2, ping_loss_pct: 60, ping_rtt_median: 4.2 },
  reasons: {},
};
export const FINE: typeof DEAD = {
  ...HALF,
  status: "ok",
  metrics: { ping_sent: 5, ping_received: 5, ping_loss_pct: 0, ping_rtt_median: 4 },
};

export const sampled = (subject: Subject) => subject.ask<Sample>({ op: "sample" });
export const judged = (subject: Subject, result: typeof DEAD = DEAD, lasts = 100) =>
  subject.ask<Judged>({ op: "judge", result, lasts });

let offices = 0;
export function newOffice(): Office {
  offices += 1;
  return new Office(`st${process.pid.toString(36)}${offices}`);
}

export async function start(
  office: Office,
  server = SERVER,
  allowed = "yes",
  env: Record<string, string> = {},
): Promise<Subject> {
  const subject = office.start("host", SUBJECT, [server, allowed], env);
  await subject.line(({ ready }) => ready === true);
  return subject;
}

export async function world(office: Office, place: "host" | "gw" = "gw", ...args: readonly string[]): Promise<void> {
  const subject = office.start(place, WORLD, args);
  await subject.line(({ ready }) => ready === true);
}

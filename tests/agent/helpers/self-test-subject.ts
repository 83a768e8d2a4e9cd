// Runs on an office's host: the agent's self-test, asked by lines of JSON on standard input.
import { createInterface } from "node:readline";
import type { Measurement } from "#contract/result";
import { SelfTest } from "../../../agent/self-test.ts";

const [server = "", allowed = "yes"] = process.argv.slice(2);
const say = (line: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(line)}\n`);

const selfTest = new SelfTest({
  server,
  allowed: allowed === "yes",
  log: { warn: (...words: unknown[]) => say({ log: words }) } as ConstructorParameters<typeof SelfTest>[0]["log"],
  changed: () => say({ changed: selfTest.cutOff, at: Date.now() }),
  now: () => Date.now(),
});

interface Order {
  readonly id: number;
  readonly op: "sample" | "judge" | "heard" | "cost";
  /** A run that takes so long, milliseconds, and ends with this. */
  readonly lasts?: number;
  readonly result?: Measurement;
}

async function judge({ lasts = 0, result }: Order): Promise<unknown> {
  let ended = 0;
  const run = async (): Promise<Measurement> => {
    const started_at = Date.now();
    await new Promise((resolve) => setTimeout(resolve, lasts));
    ended = performance.now();
    return { ...(result as Measurement), started_at, duration_ms: lasts };
  };
  const judged = await selfTest.judge(run);
  return { result: judged, held_ms: performance.now() - ended };
}

async function answer(order: Order): Promise<unknown> {
  if (order.op === "judge") return judge(order);
  if (order.op === "cost") return process.cpuUsage();
  if (order.op === "heard") {
    selfTest.heard();
    return null;
  }
  const { sheet, detail, flags } = await selfTest.sample();
  return { metrics: sheet.metrics, reasons: sheet.reasons, detail, flags };
}

createInterface(process.stdin).on("line", (text) => {
  const order = JSON.parse(text) as Order;
  void answer(order).then((reply) => say({ id: order.id, reply }));
});
say({ ready: true });

// Runs in a network and mount namespace of its own whose resolv.conf names 127.0.0.1: serves a small zone there, resolves what it
// is told to and prints what came of it, one JSON array.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import packet, { type Answer } from "dns-packet";
import { type Resolution, resolveHost } from "../../../agent/resolve.ts";
import { runTest } from "../../../agent/runner.ts";

interface Zone {
  readonly A?: readonly string[];
  readonly AAAA?: readonly string[];
  readonly delay?: Readonly<Record<string, number>>;
}
/** What is to be done, in order; the time each took is told. */
export interface Step {
  readonly resolve: "host" | "beside";
  readonly name: string;
  readonly family?: 4 | 6;
  readonly limit_ms?: number;
}
export interface Told {
  readonly result: Resolution | { status: string; resolver: string | null };
  readonly took_ms: number;
}

const [zones, steps] = JSON.parse(process.argv[2] ?? "[]") as [Record<string, Zone | null>, Step[]];

const socket = createSocket("udp4");
socket.on("message", async (raw, remote) => {
  const query = packet.decode(raw);
  const question = query.questions?.[0];
  const zone = zones[question?.name ?? ""];
  // A zone of null never answers; a name without a zone does not exist.
  if (question === undefined || zone === null) return;
  const type = question.type as "A" | "AAAA";
  await wait(zone?.delay?.[type] ?? 0);
  const answers = (zone?.[type] ?? []).map((data): Answer => ({ name: question.name, type, ttl: 60, data }));
  const flags = packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE | (zone === undefined ? 3 : 0);
  socket.send(
    packet.encode({ type: "response", id: query.id, flags, questions: [question], answers }),
    remote.port,
    remote.address,
  );
});
socket.bind(53, "127.0.0.1");
await once(socket, "listening");

async function perform(step: Step): Promise<Told["result"]> {
  const signal = step.limit_ms === undefined ? undefined : AbortSignal.timeout(step.limit_ms);
  if (step.resolve === "host") return resolveHost(step.name, step.family, signal);
  // A name while others hang: what they cost it.
  const dead = Array.from({ length: 6 }, (_, i) => resolveHost(`dead${i}.test`));
  const found = await runTest({ type: "dns", destination: step.name, params: {} }, new AbortController().signal);
  const { dns_server: resolver = null } = found.metrics;
  void Promise.all(dead);
  return { status: found.status, resolver: String(resolver) };
}

const told: Told[] = [];
for (const step of steps) {
  const start = performance.now();
  told.push({ result: await perform(step), took_ms: performance.now() - start });
}
process.stdout.write(`${JSON.stringify(told)}\n`, () => process.exit(0));

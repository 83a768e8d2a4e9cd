// What the agent takes from its host, beside two well-known ones measured in the same minutes: processor time with its children,
// memory and its growth, processes, bytes to the server.
import { setTimeout as delay } from "node:timers/promises";
import { INTERVAL_S, mixOf } from "./mix.ts";
import { type Neighbour, startNeighbours } from "./neighbours.ts";
import type { Report } from "./run.ts";
import { type AgentVariant, type Surroundings, surround } from "./surroundings.ts";
import { growthPerHour, type Usage, watch } from "./watch.ts";

/** Every test runs once and a host sample is taken before the measurement begins. */
const WARM_UP_S = 90;
const DEFAULT_MINUTES = 3;
/** In less time the slope is that of one collection of garbage. */
const GROWTH_FROM_MINUTES = 15;
const DAY_S = 24 * 60 * 60;

/** What an agent with this mix of tests may take. */
const BARS = { cpu_pct: 0.3, rss_mib: 75, growth_mib_h: 5 } as const;

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));
const most = (values: readonly number[]): number => Math.max(...values);

function figures(usage: Usage, minutes: number): Report {
  const { memory, seconds, spawned, sent_bytes } = usage;
  const last = memory.at(-1);
  const growth = minutes < GROWTH_FROM_MINUTES ? null : rounded(growthPerHour(memory), 2);
  return {
    cpu_pct: rounded(usage.cpu_own_pct + usage.cpu_children_pct, 3),
    cpu_own_pct: rounded(usage.cpu_own_pct, 3),
    cpu_children_pct: rounded(usage.cpu_children_pct, 3),
    rss_mib: rounded(most(memory.map(({ rss }) => rss)), 1),
    rss_mib_before: rounded(memory[0]?.rss ?? 0, 1),
    rss_anon_mib: rounded(most(memory.map(({ anon }) => anon)), 1),
    rss_file_mib: rounded(most(memory.map(({ file }) => file)), 1),
    rss_peak_mib: rounded(last?.peak ?? 0, 1),
    growth_mib_h: growth,
    ...(growth === null ? { growth_reason: `told from ${GROWTH_FROM_MINUTES} minutes on: -- --minutes 60` } : {}),
    ...(spawned === undefined ? {} : { spawned_a_minute: rounded((60 * spawned) / seconds, 1) }),
    bytes_a_day: sent_bytes === undefined ? null : Math.round((sent_bytes / seconds) * DAY_S),
    ...(sent_bytes === undefined
      ? { bytes_reason: "counted on an interface that leads to the server only, which the lab has" }
      : {}),
  };
}

/** Each figure beside what it may be at most. */
function verdict(usage: Usage, minutes: number): Report {
  const seen = figures(usage, minutes);
  const line = (name: keyof typeof BARS) => {
    const value = seen[name];
    if (typeof value !== "number") return `at most ${BARS[name]}: not told`;
    return `${value} of at most ${BARS[name]}: ${value <= BARS[name] ? "kept" : "EXCEEDED"}`;
  };
  return Object.fromEntries((Object.keys(BARS) as (keyof typeof BARS)[]).map((name) => [name, line(name)]));
}

function beside(neighbour: Neighbour, usage: Usage | undefined): Report {
  if (usage === undefined) return { cpu_pct: null, rss_mib: null, reason: neighbour.reason ?? "not measured" };
  return {
    cpu_pct: rounded(usage.cpu_own_pct + usage.cpu_children_pct, 3),
    rss_mib: rounded(most(usage.memory.map(({ rss }) => rss)), 1),
  };
}

async function measure(around: Surroundings, neighbours: readonly Neighbour[], minutes: number): Promise<Report> {
  const tests = mixOf(around.targets);
  for (const test of tests) await around.api.createTest(test);
  await delay(WARM_UP_S * 1000);
  const present = neighbours.filter(({ pid }) => pid !== undefined);
  const all = [{ pid: around.pid, line: around.line, countChildren: true }, ...present.map(({ pid }) => ({ pid: pid ?? 0 }))];
  const [own, ...others] = await watch(all, minutes);
  if (own === undefined) throw new Error("nothing was watched");
  const usageOf = (neighbour: Neighbour) => others[present.indexOf(neighbour)];
  return {
    where: around.name,
    bars: verdict(own, minutes),
    tests: tests.length,
    interval_s: INTERVAL_S,
    warm_up_s: WARM_UP_S,
    minutes,
    ...figures(own, minutes),
    beside: Object.fromEntries(neighbours.map((neighbour) => [neighbour.name, beside(neighbour, usageOf(neighbour))])),
  };
}

/** Ten tests a minute, nobody watching, for so many minutes. */
export async function measureAgent(minutes = DEFAULT_MINUTES, variant: AgentVariant = {}): Promise<Report> {
  if (process.platform !== "linux") return { cpu_pct: null, rss_mib: null, reason: "read from /proc, which only Linux has" };
  const around = await surround(variant);
  try {
    const neighbours = await startNeighbours();
    try {
      return await measure(around, neighbours, minutes);
    } finally {
      for (const neighbour of neighbours) await neighbour.stop();
    }
  } finally {
    await around.stop();
  }
}

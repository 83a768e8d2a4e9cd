// Surveys what becomes of marks along the path: probes of one flow that end at each hop in turn, and what the hops quote of them.
import { installHint } from "../install-hint.ts";
import { failureError, pathToolMissing } from "./path-failure.ts";
import { flowPorts } from "./path-round.ts";
import { findPathTool, type PathTool } from "./path-tool.ts";
import type { Failure } from "./ping-outcome.ts";
import { Capture, type Captured } from "./qos-capture.ts";
import type { MarkHop } from "./qos-marks.ts";
import { type MarkOrder, MarkSweeps } from "./qos-sweeps.ts";

export interface MarkSurvey {
  /** As people know it; null where there is none. */
  readonly tool: string | null;
  readonly hops: readonly MarkHop[];
  /** The DSCP that probes had when they left this host; null when none left. */
  readonly left: number | null;
  /** What kept it from being whole; null when nothing did. */
  readonly failure: Failure | null;
}

/** The flows of a traceroute to the same address come before these (16 at most). */
const FLOWS = { first: 20, tries: 4 } as const;

/** Runs of this process that hold a port; two of them would take each other's quotes. */
const taken = new Set<string>();

/** The first port of the flow that no other run of this process holds. */
function freePort(address: string, tried: ReadonlySet<number>): number | undefined {
  const ports = flowPorts(address, FLOWS.first + FLOWS.tries).slice(FLOWS.first);
  return ports.find((port) => !tried.has(port) && !taken.has(`${address} ${port}`));
}

/** Linux' traceroute; others can neither hold a flow nor say ECT. */
async function surveyTool(): Promise<PathTool | Failure> {
  const tool = process.platform === "linux" ? await findPathTool() : undefined;
  if (tool?.marks === true) return tool;
  if (tool === undefined) return { error: pathToolMissing(), reason: "tool_missing" };
  const message = `${tool.version} cannot probe with a flow of constant ports; ${installHint("traceroute")}`;
  return { error: { code: "tool_missing", source: "tool", message }, reason: "tool_missing" };
}

const OVER: Failure = {
  error: { code: "deadline", source: "agent", message: "the time was over before every hop was asked" },
  reason: "timeout",
};

const BUSY: Failure = {
  error: { code: "tool_failed", source: "agent", message: "other programs or runs hold every source port this flow may take" },
  reason: "unsupported",
};

/**
 * Follows the marks along the path within `most_ms`. Needs traceroute, tcpdump and the right to capture; whatever is missing, and
 * whatever keeps the survey from being whole, is told in the answer. Leaves no child behind.
 */
export async function surveyMarks(order: MarkOrder, most_ms: number, signal: AbortSignal): Promise<MarkSurvey> {
  const tool = await surveyTool();
  if ("error" in tool) return { tool: null, hops: [], left: null, failure: tool };
  const tried = new Set<number>();
  for (;;) {
    const port = freePort(order.address, tried);
    if (port === undefined) return { tool: tool.version, hops: [], left: null, failure: BUSY };
    tried.add(port);
    const hold = `${order.address} ${port}`;
    taken.add(hold);
    try {
      const survey = await surveyFlow(tool, order, { port, most_ms, signal });
      if (survey !== "port_taken") return survey;
    } finally {
      taken.delete(hold);
    }
  }
}

function leftAs(packets: readonly Captured[]): number | null {
  const probe = packets.find((packet) => "sent" in packet)?.sent;
  return probe === undefined ? null : probe.tos >> 2;
}

async function surveyFlow(
  tool: PathTool,
  order: MarkOrder,
  { port, most_ms, signal }: { port: number; most_ms: number; signal: AbortSignal },
): Promise<MarkSurvey | "port_taken"> {
  const { address, family } = order;
  const capture = await Capture.start({ address, family, source_port: port }, most_ms, signal);
  if ("error" in capture) return { tool: tool.version, hops: [], left: null, failure: capture };
  try {
    const sweeps = new MarkSweeps(tool, order, port, capture, signal);
    await sweeps.first();
    if (sweeps.failure?.kind === "port_taken") return "port_taken";
    await sweeps.again();
    await sweeps.confirm();
    const { failure } = sweeps;
    const over = signal.aborted ? OVER : null;
    return {
      tool: tool.version,
      hops: sweeps.hops(),
      left: leftAs(capture.packets),
      failure: over ?? capture.failure ?? (failure === null ? null : failureError(failure, "udp")),
    };
  } finally {
    await capture.end();
  }
}

// UDP: a STAMP stream against a reflector (RFC 8762), its loss and variation in each direction.
import { performance } from "node:perf_hooks";
import type { Status } from "#contract/result";
import { type UdpParams, udpCount } from "#contract/test-types/udp";
import type { SyncState } from "../parsers/clock-sync.ts";
import { estimateOf, hostSync } from "../stamp/clock.ts";
import { runStamp, type StampRun } from "../stamp/sender.ts";
import { round3 } from "../statistics.ts";
import { waitFor } from "../wait.ts";
import { type Endpoint, type Failure, findEndpoint, STOPPED } from "./endpoint.ts";
import { type Outcome, type Probe, type RunContext, unmeasured } from "./probe.ts";
import { streamDetail } from "./udp-detail.ts";
import { streamFailure } from "./udp-failure.ts";
import { UdpLive } from "./udp-live.ts";
import { decided, isVoid, udpMetrics } from "./udp-metrics.ts";
import { udpView } from "./udp-view.ts";

/** A daemon that takes longer to tell about the clock is not waited for, ms. */
const CLOCK_WAIT_MS = 1500;
/** Least time between two notes on the progress, ms. */
const NOTE_MS = 250;

async function run(destination: string, params: UdpParams, context: RunContext): Promise<Outcome> {
  const { budget } = context;
  const [found, clock] = await Promise.all([findEndpoint(destination, params, budget.signal), clockState(budget.signal)]);
  if (budget.stopped) return unmeasured("udp", STOPPED.error, STOPPED.reason);
  if (!found.ok) return unmeasured("udp", found.error, found.reason, { detail: { resolve_ms: found.resolve_ms } });
  return measure(found.endpoint, params, clock, context);
}

async function clockState(signal: AbortSignal): Promise<SyncState | null> {
  let state: SyncState | null = null;
  const asking = hostSync().then((told) => {
    state = told;
  });
  await waitFor(asking, AbortSignal.any([signal, AbortSignal.timeout(CLOCK_WAIT_MS)]));
  return state;
}

async function measure(endpoint: Endpoint, params: UdpParams, clock: SyncState | null, context: RunContext): Promise<Outcome> {
  const { budget, session } = context;
  const { address, family, port } = endpoint;
  const interval_ms = params.interval * 1000;
  const count = udpCount(params);
  const live = context.watched ? new UdpLive(context.show, { interval_ms, timeout_ms: params.timeout * 1000 }) : undefined;
  const note = progressNotes(context, count);
  context.measuring();
  const stream = await runStamp({
    address,
    port,
    count,
    interval_ms,
    packet_bytes: params.packet_size,
    timeout_ms: params.timeout * 1000,
    session,
    estimate: estimateOf(clock),
    signal: budget.signal,
    onSend: (seq) => {
      live?.sent(seq);
      note.sent(seq);
    },
    onReply: (packet) => {
      live?.answered(packet);
      note.answered();
    },
  });
  live?.end(stream.packets);
  const trouble = streamFailure(stream, { endpoint, keyed: session !== undefined, stopped: budget.stopped });
  const reading = { run: stream, interval: interval_ms, port, family, clock, silence: trouble?.reason ?? "timeout" } as const;
  const told = detail(stream, endpoint, { clock, keyed: session !== undefined, interval_ms });
  if (stream.end === "refused" || stream.end === "unsendable" || decided(stream.packets).length === 0) {
    const { error, reason } = trouble ?? STOPPED;
    return unmeasured("udp", error, reason, { address, detail: told });
  }
  const sheet = udpMetrics(reading);
  const status = statusOf(stream, trouble);
  return {
    address,
    status,
    error: trouble?.error ?? null,
    metrics: sheet.metrics,
    reasons: sheet.reasons,
    detail: told,
    flags: stream.stepped_ms === 0 ? [] : ["clock_stepped"],
  };
}

function statusOf(stream: StampRun, trouble: Failure | undefined): Status {
  if (trouble === undefined) return "ok";
  return stream.packets.some(({ fate }) => fate === "answered") ? "partial" : "failed";
}

/** Tells how far the stream is, a few times a second. */
function progressNotes(context: RunContext, count: number): { sent(seq: number): void; answered(): void } {
  let answered = 0;
  let told = Number.NEGATIVE_INFINITY;
  return {
    sent(seq) {
      const now = performance.now();
      if (now - told < NOTE_MS && seq + 1 < count) return;
      told = now;
      context.progress((seq + 1) / count, `${seq + 1} of ${count} packets sent, ${answered} answered`);
    },
    answered() {
      answered += 1;
    },
  };
}

interface Circumstances {
  readonly clock: SyncState | null;
  readonly keyed: boolean;
  readonly interval_ms: number;
}

function detail(stream: StampRun, endpoint: Endpoint, { clock, keyed, interval_ms }: Circumstances): Record<string, unknown> {
  const { packets, loss, extra, rejected, reflector, errors, stepped_ms } = stream;
  const answers = packets.flatMap(({ answer }) => (answer === null ? [] : [answer]));
  return {
    port: endpoint.port,
    resolve_ms: endpoint.resolve_ms,
    resolved_by: endpoint.resolved_by,
    mode: keyed ? "authenticated" : "unauthenticated",
    interval_ms: round3(interval_ms),
    numbering: loss.numbering,
    unattributed: loss.unattributed,
    /** Packets around the stream: they cross the network too, and are part of no figure. */
    extra,
    rejected,
    untimed: answers.filter(({ rtt_ms }) => rtt_ms === null).length,
    errors,
    clocks: {
      agent: clock === null ? null : { source: clock.source, error_ms: round3(clock.error_ms) },
      agent_stepped_ms: round3(stepped_ms),
      reflector:
        reflector === null
          ? null
          : { synchronised: reflector.synchronised, error_ms: reflector.error_ms === null ? null : round3(reflector.error_ms) },
    },
    ...(packets.length === 0 || isVoid(packets) ? {} : streamDetail(packets, interval_ms)),
  };
}

/** STAMP exchanges (RFC 8762, 8972; metrics as RFC 7680, 3550, 3393, 5481, 4737, 5560, 3611). */
export const udp: Probe<"udp"> = {
  plan: (params, interval_s) => ({ ...params, count: udpCount(params, interval_s) }),
  places: () => ({ sockets: 1 }),
  run,
  view: udpView,
};

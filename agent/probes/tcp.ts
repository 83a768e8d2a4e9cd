// TCP: connects on a schedule, the kernel's figures of them, and bytes sent under its eyes.
import { Socket } from "node:net";
import type { ResultError, Status } from "#contract/result";
import type { TcpParams } from "#contract/test-types/tcp";
import { round3 } from "../statistics.ts";
import { connectFailure, type Endpoint, type Failure, findEndpoint, hangUp, STOPPED, showEndpoint, warmUp } from "./endpoint.ts";
import { type Outcome, type Probe, type RunContext, unmeasured } from "./probe.ts";
import { KernelReader } from "./tcp-kernel.ts";
import { type TcpReading, tcpMetrics } from "./tcp-metrics.ts";
import { connectRow, sendRow, tcpView } from "./tcp-rows.ts";
import { type Sending, sendBytes } from "./tcp-send.ts";
import { type Attempt, ConnectSeries, mostOpen, type SeriesOrder } from "./tcp-series.ts";
import { type SignOfLife, silenceOf, watchSilence } from "./tcp-silence.ts";

/** Node sets the TOS byte of a socket since 24.14 and 25.6. */
const CAN_MARK = typeof Socket.prototype.setTypeOfService === "function";
/** Kept for the end of the run when bytes are sent, ms. */
const RESERVE_MS = 50;
/** Places for sockets a run takes at most. */
const SOCKETS_MAX = 16;
/** Rows of a transfer a watcher sees, at most so often, ms. */
const ROW_MS = 500;

async function run(destination: string, params: TcpParams, context: RunContext): Promise<Outcome> {
  const { budget } = context;
  if (params.dscp !== undefined && !CAN_MARK) {
    const message = "this version of Node cannot set the DSCP of a TCP connection; update the agent or leave --dscp out";
    return unmeasured("tcp", { code: "unsupported", source: "agent", message }, "unsupported");
  }
  const found = await findEndpoint(destination, params, budget.signal);
  if (budget.stopped) return unmeasured("tcp", STOPPED.error, STOPPED.reason);
  if (!found.ok) return unmeasured("tcp", found.error, found.reason, { detail: { resolve_ms: found.resolve_ms } });
  await warmUp();
  context.measuring();
  const { endpoint } = found;
  const kernel = new KernelReader(budget.signal);
  const order = seriesOf(params);
  const series = new ConnectSeries(endpoint, order, kernel, budget.signal);
  const alive = await connectAll(series, endpoint, params, context);
  const { kept } = series;
  const sending = kept === undefined ? undefined : await send(kept.dial, endpoint, params, kernel, context);
  if (kept !== undefined) hangUp(kept.dial.socket);
  const { attempts } = series;
  const trouble =
    judge(attempts, endpoint, { alive, timeout_ms: order.timeout_ms }, budget.stopped) ?? sendTrouble(sending, endpoint);
  const silence = trouble?.reason ?? "timeout";
  const reading = { attempts, sending, sender: kept?.attempt, missing: kernel.missing, silence, port: endpoint.port };
  return { ...report(endpoint, reading, trouble), flags: markFlags(params, series.unmarked) };
}

const seriesOf = ({ count, interval, timeout, send_bytes, dscp }: TcpParams): SeriesOrder => ({
  count,
  interval_ms: interval * 1000,
  timeout_ms: timeout * 1000,
  keep: send_bytes > 0,
  // The DS field is the upper six bits of the old TOS byte (RFC 2474).
  tos: dscp === undefined ? undefined : dscp << 2,
});

/** A DSCP that marked nothing is told: Node marks what follows the handshake, never the SYN. */
function markFlags({ dscp, send_bytes }: TcpParams, unmarked: boolean): string[] {
  if (dscp === undefined) return [];
  if (unmarked) return ["dscp_not_set"];
  return send_bytes === 0 ? ["dscp_marks_data_only"] : [];
}

/** Runs the series; when its first SYN stays unanswered, looks meanwhile whether the host is alive at all. */
async function connectAll(
  series: ConnectSeries,
  endpoint: Endpoint,
  params: TcpParams,
  context: RunContext,
): Promise<SignOfLife | undefined> {
  const unanswered = () => series.attempts.length === 0;
  const watch = watchSilence(endpoint, params.timeout * 1000, unanswered, context.budget.signal);
  await series.run((attempt) => context.show(connectRow(attempt)));
  return watch.end();
}

async function send(
  dial: Parameters<typeof sendBytes>[0],
  endpoint: Endpoint,
  params: TcpParams,
  kernel: KernelReader,
  { budget, show, watched }: RunContext,
): Promise<Sending> {
  const part = budget.part("send", budget.left(), RESERVE_MS);
  let shown = 0;
  const sending = await sendBytes(dial, params.send_bytes, {
    kernel,
    peerPort: endpoint.port,
    signal: part.signal,
    onSample: (sample) => {
      if (!watched || sample.at_ms - shown < ROW_MS) return;
      shown = sample.at_ms;
      show(sendRow(sample, params.send_bytes));
    },
  });
  if (!sending.complete && sending.broken === undefined) budget.hit("send");
  return sending;
}

/** What went wrong most often among the connects, or undefined when nothing did. */
function judge(
  attempts: readonly Attempt[],
  endpoint: Endpoint,
  { alive, timeout_ms }: { alive: SignOfLife | undefined; timeout_ms: number },
  stopped: boolean,
): Failure | undefined {
  if (stopped) return STOPPED;
  const failures = attempts.flatMap(({ dialled, broken }): Failure[] => {
    if (dialled.kind === "stopped") {
      const message = "the run's time was over before every connect had ended";
      return [{ error: { code: "deadline", source: "agent", message }, reason: "timeout" }];
    }
    if (dialled.kind !== "connected") return [connectFailure(dialled, endpoint)];
    return broken === null ? [] : [connectFailure({ kind: "error", errno: broken, local: false, ms: dialled.ms }, endpoint)];
  });
  const counts = new Map<string, number>();
  for (const { error } of failures) counts.set(error.code, (counts.get(error.code) ?? 0) + 1);
  const [commonest, times] = [...counts].sort((a, b) => b[1] - a[1])[0] ?? [];
  const failure = failures.find(({ error }) => error.code === commonest);
  if (failure === undefined || times === undefined) return undefined;
  const whole = times === attempts.length;
  const told =
    whole && failure.error.code === "no_reply"
      ? silenceOf(failure, endpoint, alive, { connects: attempts.length, timeout_ms })
      : failure;
  return {
    ...told,
    error: { ...told.error, message: `${whole ? "" : `${times} of ${attempts.length} connects: `}${told.error.message}` },
  };
}

function sendTrouble(sending: Sending | undefined, endpoint: Endpoint): Failure | undefined {
  if (sending === undefined || sending.complete) return undefined;
  if (sending.broken !== undefined) {
    return connectFailure({ kind: "error", errno: sending.broken, local: false, ms: sending.took_ms }, endpoint);
  }
  const acked = sending.samples.at(-1)?.info.bytes_acked;
  const done = acked === null || acked === undefined ? "not all" : `${Math.max(0, acked - 1)}`;
  const message = `${done} of ${sending.bytes} bytes were acknowledged by ${showEndpoint(endpoint)} before the time was over`;
  return { error: { code: "deadline", source: "network", message }, reason: "timeout" };
}

function statusOf(attempts: readonly Attempt[], error: ResultError | null): Status {
  if (error === null) return "ok";
  // A connection the peer broke was established, but was of no use.
  return attempts.some(({ dialled, broken }) => dialled.kind === "connected" && broken === null) ? "partial" : "failed";
}

function report(endpoint: Endpoint, reading: TcpReading, trouble: Failure | undefined): Omit<Outcome, "flags"> {
  const { attempts, sending, missing } = reading;
  const error = trouble?.error ?? null;
  const sheet = tcpMetrics(reading);
  const figures = (value: number | null | undefined) => (value === null || value === undefined ? null : round3(value));
  return {
    address: endpoint.address,
    status: statusOf(attempts, error),
    error,
    metrics: sheet.metrics,
    reasons: sheet.reasons,
    detail: {
      port: endpoint.port,
      resolve_ms: endpoint.resolve_ms,
      resolved_by: endpoint.resolved_by,
      kernel_figures: missing ?? (attempts.some(({ info }) => info !== null) ? "ss" : null),
      connects: attempts.map(({ index, at_ms, dialled, info, broken }) => ({
        n: index + 1,
        at_ms: round3(at_ms),
        connect_ms: dialled.kind === "connected" ? round3(dialled.ms) : null,
        rtt_ms: figures(info?.rtt_ms),
        error: dialled.kind === "error" ? dialled.errno : dialled.kind === "connected" ? broken : dialled.kind,
      })),
      ...(sending === undefined ? {} : { send: sendDetail(sending) }),
    },
  };
}

function sendDetail(sending: Sending): Record<string, unknown> {
  const last = sending.samples.at(-1)?.info;
  return {
    bytes: sending.bytes,
    acked: last?.bytes_acked === undefined || last.bytes_acked === null ? null : Math.max(0, last.bytes_acked - 1),
    complete: sending.complete,
    took_ms: round3(sending.took_ms),
    samples: sending.samples.map(({ at_ms, info }) => ({
      at_ms: Math.round(at_ms),
      cwnd: info.cwnd,
      rtt_ms: info.rtt_ms,
      delivery_rate_bps: info.delivery_rate_bps,
      retrans: info.retrans_total ?? 0,
    })),
  };
}

/** TCP handshakes (RFC 9293) and the kernel's figures of them (struct tcp_info; RFC 4898, 6298). */
export const tcp: Probe<"tcp"> = {
  places(params) {
    const sockets = Math.min(SOCKETS_MAX, mostOpen(seriesOf(params)));
    return params.send_bytes > 0 ? { sockets, path: 1 } : { sockets };
  },
  run,
  view: tcpView,
};

// QoS: whether DSCP and ECN survive the path, whether the target negotiates ECN, and whether classes of traffic fare differently.
import { isIP } from "node:net";
import { checkHost } from "#contract/destination";
import type { Reason } from "#contract/metrics";
import type { ResultError, Status } from "#contract/result";
import { type QosParams, qosClasses } from "#contract/test-types/qos";
import { resolveHost } from "../resolve.ts";
import type { Failure } from "./ping-outcome.ts";
import { MetricSheet, type Outcome, type Probe, type RunContext, unmeasured } from "./probe.ts";
import { classResult, compareClasses, type Finding } from "./qos-classes.ts";
import { askEcn, type EcnResult, ecnVerdict } from "./qos-ecn.ts";
import { circleOf, ecnChange } from "./qos-marks.ts";
import { type MarkVerdict, markDetail, markFlags, markVerdict, setMarks } from "./qos-metrics.ts";
import { type ClassReadings, pingClasses } from "./qos-pings.ts";
import { classRows, markRows, qosView } from "./qos-rows.ts";
import { type MarkSurvey, surveyMarks } from "./qos-survey.ts";

/** Kept from the run's time for ending the tools and putting the result together, ms. */
const RESERVE_MS = 600;

const failed = ({ error, reason }: Failure, address: string | null, detail: Record<string, unknown> = {}): Outcome =>
  unmeasured("qos", error, reason, { address, detail });

const failure = (code: ResultError["code"], source: ResultError["source"], message: string, reason: Reason): Failure => ({
  error: { code, source, message },
  reason,
});

const ABORTED = failure("aborted", "agent", "the run was stopped before its end", "timeout");
const DEADLINE = failure("deadline", "agent", "the run's time was over before all of it was measured", "timeout");
const UNSUPPORTED = failure(
  "unsupported",
  "agent",
  "QoS is measured on Linux only: other systems neither show the traffic class that routers quote nor let ping set it reliably",
  "unsupported",
);

async function run(destination: string, params: QosParams, context: RunContext): Promise<Outcome> {
  const host = checkHost(destination);
  if (!host.ok) return failed(failure("invalid_instruction", "agent", `destination ${host.message}`, "not_applicable"), null);
  if (process.platform !== "linux") return failed(UNSUPPORTED, null);
  const found = await resolveHost(host.host, params.ip_version, context.budget.signal);
  const detail = { resolve_ms: found.resolve_ms };
  if (context.budget.stopped) return failed(ABORTED, null, detail);
  if (!found.ok) return failed(failure(found.code, "resolver", found.message, "dns_fail"), null, detail);
  if (isIP(found.address) === 0) {
    return failed(failure("internal", "agent", "the resolver gave no address literal", "dns_fail"), null, detail);
  }
  const target = { address: found.address, family: found.family, detail: { ...detail, resolved_by: found.via } };
  return measure(target, params, context);
}

interface Target {
  readonly address: string;
  readonly family: 4 | 6;
  readonly detail: Record<string, unknown>;
}

interface Parts {
  readonly survey: MarkSurvey;
  readonly ecn: EcnResult;
  readonly pings: ClassReadings;
}

/** Everything at the same time: probes, handshakes and pings are few, and none waits for another. */
async function measure(target: Target, params: QosParams, context: RunContext): Promise<Outcome> {
  const { budget, progress, show } = context;
  const { address, family } = target;
  const { signal, ms } = budget.part("qos", budget.left(), RESERVE_MS);
  const parts = { path: "the path", ecn: "ECN", classes: "the classes" };
  const open = new Set(Object.values(parts));
  const done = (part: string) => {
    open.delete(part);
    progress((3 - open.size) / 3, open.size === 0 ? "done" : `measuring ${[...open].join(", ")}`);
  };
  const { dscp, port, count, interval, timeout, max_hops } = params;
  let longest_ms: number | undefined;
  const follow = async () => {
    const order = { address, family, dscp, ect: true, port, max_hops, timeout, roundTrip: () => longest_ms };
    const survey = await surveyMarks(order, ms, signal);
    for (const row of markRows(survey.hops, dscp)) show(row);
    done(parts.path);
    return survey;
  };
  const ask = async () => {
    const ecn = await askEcn({ address, port, timeout }, signal);
    longest_ms = ecn.longest_ms;
    done(parts.ecn);
    return ecn;
  };
  const compare = async () => {
    const pings = await pingClasses({ address, family, classes: qosClasses(params), count, interval, timeout }, signal);
    done(parts.classes);
    return pings;
  };
  progress(0, `measuring ${[...open].join(", ")}`);
  const [survey, ecn, pings] = await Promise.all([follow(), ask(), compare()]);
  for (const row of classRows(pings.readings.map((each) => classResult(each.dscp, each.reading)))) show(row);
  const cut = budget.stopped ? ABORTED : signal.aborted ? DEADLINE : null;
  if (cut === DEADLINE) budget.hit("qos");
  return report({ survey, ecn, pings }, target, params, cut);
}

function report({ survey, ecn, pings }: Parts, target: Target, params: QosParams, cut: Failure | null): Outcome {
  const { address } = target;
  const verdict = markVerdict(survey, params.dscp, address);
  const comparison = compareClasses(pings.readings);
  const handshakes = ecnVerdict(ecn.ecn, ecn.plain);
  const sheet = new MetricSheet();
  setMarks(sheet, survey, verdict);
  const put = (name: Parameters<MetricSheet["set"]>[0], finding: Finding<number | string | boolean>, missing: Failure | null) => {
    if ("value" in finding) sheet.set(name, finding.value, "not_applicable");
    else sheet.set(name, null, missing?.reason ?? finding.reason);
  };
  put("ecn_capable", handshakes.capable, ecn.failure);
  put("ecn_blocked", handshakes.blocked, ecn.failure);
  put("qos_rtt_spread_ms", comparison.spread, pings.failure);
  put("qos_loss_worst_pct", comparison.loss, pings.failure);
  put("qos_worst_class", comparison.worst, pings.failure);
  const classes = pings.readings.map((each) => classResult(each.dscp, each.reading));
  const problem = cut ?? complaint({ survey, ecn, pings }, verdict, params.port, address);
  const answered =
    verdict.reach.checked > 0 || ecn.plain.accepted + ecn.plain.refused > 0 || classes.some(({ received }) => received > 0);
  const status: Status = problem === null ? "ok" : answered ? "partial" : "failed";
  return {
    address,
    status,
    error: problem?.error ?? null,
    metrics: sheet.metrics,
    reasons: sheet.reasons,
    detail: {
      ...target.detail,
      tools: { path: survey.tool, ping: pings.tool },
      hops: survey.hops.map(({ ttl, addr, dscp, ecn: bits, quotes, protocol }) => ({
        ttl,
        addr,
        dscp,
        ecn: bits,
        quotes,
        protocol,
      })),
      ...markDetail(survey, verdict),
      ecn_change: ecnChange(survey.hops),
      ecn_port: params.port,
      ecn_syns: ecn.ecn,
      plain_syns: ecn.plain,
      classes,
      worst_by: comparison.by,
    },
    flags: markFlags(survey, verdict),
  };
}

/** What is wrong with a run, the part first that says most about the path; null when all of it was measured. */
function complaint({ survey, ecn, pings }: Parts, { reach }: MarkVerdict, port: number, address: string): Failure | null {
  if (survey.failure !== null) return survey.failure;
  if (ecn.failure !== null) return ecn.failure;
  if (pings.failure !== null) return pings.failure;
  const circle = circleOf(survey.hops);
  if (circle !== null) {
    const router = survey.hops[circle - 1]?.addr;
    return failure(
      "unreachable",
      "network",
      `packets for ${address} go in circles: at hop ${circle} they meet ${router} again`,
      "no_route",
    );
  }
  const { plain } = ecn;
  const replies = pings.readings.some(({ reading }) => reading.answered.includes(true));
  if (reach.checked === 0 && !replies && plain.accepted + plain.refused === 0) {
    return failure("no_reply", "network", `neither ${address} nor any hop on the way answered`, "timeout");
  }
  if (!replies) return failure("no_reply", "target", `${address} answered no echo request of any class`, "timeout");
  if (reach.checked === 0) {
    return failure(
      "no_reply",
      "network",
      `no hop on the way to ${address} answered, so nobody saw which DSCP arrives`,
      "timeout",
    );
  }
  if (plain.accepted > 0) return null;
  const advice = "name an open one with --port to learn of ECN";
  if (plain.refused > 0) return failure("refused", "target", `TCP port ${port} of ${address} is closed; ${advice}`, "refused");
  return failure("no_reply", "target", `${address} answered no handshake on TCP port ${port}; ${advice}`, "timeout");
}

/** Traffic classes (RFC 2474), ECN (RFC 3168), and round trips by class (RFC 2681). */
export const qos: Probe<"qos"> = {
  places: (params) => ({ path: 1, path_tools: 3, tools: qosClasses(params).length }),
  run,
  view: qosView,
};

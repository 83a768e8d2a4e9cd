// What becomes of the DSCP that a traceroute's packets carry: asked beside its flows, by probes of its own, where it has one.
import type { MetricName } from "#contract/metrics";
import type { TracerouteParams } from "#contract/test-types/traceroute";
import type { Part } from "../budget.ts";
import { MetricSheet, type Outcome } from "./probe.ts";
import { markDetail, markFlags, markVerdict, setDscp } from "./qos-metrics.ts";
import type { MarkSurvey } from "./qos-survey.ts";

/** TCP port that is tried where UDP does not come through. */
const TCP_PORT = 443;
const METRICS: readonly MetricName[] = ["qos_dscp_sent", "qos_bleached_at_hop", "qos_preserved"];

/** Undefined for a run without a DSCP, which needs neither time nor tcpdump for it. */
export async function followDscp(
  { address, family }: { readonly address: string; readonly family: 4 | 6 },
  params: TracerouteParams,
  { ms, signal }: Part,
): Promise<MarkSurvey | undefined> {
  const { dscp = 0, max_hops, timeout } = params;
  if (dscp === 0) return undefined;
  const { surveyMarks } = await import("./qos-survey.ts");
  const port = params.method === "tcp" ? params.port : undefined;
  return surveyMarks({ address, family, dscp, ect: false, port: port ?? TCP_PORT, max_hops, timeout }, ms, signal);
}

/** The outcome with what is known of its DSCP. */
export function withDscp(outcome: Outcome, survey: MarkSurvey | undefined, sent = 0): Outcome {
  const sheet = new MetricSheet();
  const merged = (): Outcome => ({
    ...outcome,
    metrics: { ...outcome.metrics, ...sheet.metrics },
    reasons: { ...outcome.reasons, ...sheet.reasons },
  });
  if (survey === undefined) {
    sheet.fill(METRICS, "not_applicable");
    return merged();
  }
  const verdict = markVerdict(survey, sent, outcome.address ?? "");
  setDscp(sheet, survey, verdict);
  const hops = survey.hops.map(({ ttl, addr, dscp }) => ({ ttl, addr, dscp }));
  const missing = survey.failure === null ? {} : { failure: survey.failure.error.message };
  return {
    ...merged(),
    detail: { ...outcome.detail, dscp: { ...markDetail(survey, verdict), hops, ...missing } },
    flags: [...outcome.flags, ...markFlags(survey, verdict)],
  };
}

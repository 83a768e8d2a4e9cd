// From what a survey of marks found to its metrics and detail; shared with traceroute. Pure.
import { dscpName } from "#contract/dscp";
import type { Reason } from "#contract/metrics";
import type { MetricSheet } from "./probe.ts";
import { dscpChange, ECN, ecnChange, type MarkChange, type Reach, reachOf } from "./qos-marks.ts";
import type { MarkSurvey } from "./qos-survey.ts";

/** What became of a DSCP along the path. */
export interface MarkVerdict {
  readonly sent: number;
  readonly reach: Reach;
  readonly change: MarkChange | null;
  /**
   * Whether it came through as far as anybody saw; null when nobody beyond the first router told, since what that one sees has
   * crossed no other.
   */
  readonly preserved: boolean | null;
}

export function markVerdict({ hops, failure }: MarkSurvey, sent: number, target: string): MarkVerdict {
  const reach = reachOf(hops, target);
  const change = dscpChange(hops, sent);
  // Of a survey that broke off, what it saw is true; what it did not see is no sign of anything.
  const known = failure === null && (reach.target || reach.until > 1);
  return { sent, reach, change, preserved: change !== null ? false : known ? true : null };
}

/** Why something is not known of the marks. */
const silence = ({ failure, hops }: MarkSurvey): Reason =>
  failure?.reason ?? (hops.some(({ quotes }) => quotes > 0) ? "too_few_samples" : "timeout");

/** The DSCP's metrics that qos and traceroute have in common. */
export function setDscp(sheet: MetricSheet, survey: MarkSurvey, verdict: MarkVerdict): void {
  const none = silence(survey);
  sheet.set("qos_dscp_sent", survey.left === null ? undefined : verdict.sent, none);
  sheet.set("qos_preserved", verdict.preserved, none);
  sheet.set("qos_bleached_at_hop", verdict.change?.at_hop, verdict.preserved === true ? "not_applicable" : none);
}

/** What only a QoS test says of the DSCP and of ECN along the path. */
export function setMarks(sheet: MetricSheet, survey: MarkSurvey, verdict: MarkVerdict): void {
  setDscp(sheet, survey, verdict);
  const { reach, change, preserved } = verdict;
  const none = silence(survey);
  sheet.set("qos_dscp_after", change?.to, preserved === true ? "not_applicable" : none);
  sheet.set("qos_hops_checked", reach.checked === 0 && survey.failure !== null ? undefined : reach.checked, none);
  const seen = survey.hops.findLast(({ ecn }) => ecn !== null)?.ttl ?? 0;
  const known = survey.failure === null && (seen > 1 || (seen === 1 && reach.target));
  sheet.set("ecn_cleared_at_hop", ecnChange(survey.hops)?.at_hop, known ? "not_applicable" : none);
}

const ECN_NAMES: Readonly<Record<number, string>> = {
  [ECN.not_ect]: "Not-ECT",
  [ECN.ect0]: "ECT(0)",
  [ECN.ect1]: "ECT(1)",
  [ECN.ce]: "CE",
};
export const ecnName = (ecn: number): string => ECN_NAMES[ecn] ?? "";

/** `EF became BE between hop 2 and hop 5`. */
export function changeText({ after_hop, at_hop, to }: MarkChange, sent: number): string {
  const where =
    at_hop === after_hop + 1
      ? after_hop === 0
        ? "before or at hop 1"
        : `between hop ${after_hop} and hop ${at_hop}`
      : `somewhere between ${after_hop === 0 ? "this host" : `hop ${after_hop}`} and hop ${at_hop} (those between are silent)`;
  return `${dscpName(sent)} became ${dscpName(to)} ${where}`;
}

/** The part of a result's detail that is about marks. */
export function markDetail(survey: MarkSurvey, verdict: MarkVerdict): Record<string, unknown> {
  const { reach, change } = verdict;
  return {
    marks_until_hop: reach.until,
    target_quoted: reach.target,
    dscp_left: survey.left,
    dscp_change: change,
  };
}

/** What people should know before they believe the verdict. */
export function markFlags(survey: MarkSurvey, { reach, sent }: MarkVerdict): string[] {
  const flags: string[] = [];
  // Packets may change behind the last hop that tells.
  if (reach.checked > 0 && !reach.target) flags.push("target_not_quoted");
  if (survey.left !== null && survey.left !== sent) flags.push("dscp_changed_by_host");
  return flags;
}

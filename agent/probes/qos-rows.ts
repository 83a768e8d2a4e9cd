// What people see of a QoS run: the hops with the marks they saw, the classes side by side, and in the end what it means.
import { dscpName } from "#contract/dscp";
import type { Measurement } from "#contract/result";
import { type Cell, cell, figure, lossTone, milliseconds, percent, type Row, type Tone } from "../rows.ts";
import type { ClassResult } from "./qos-classes.ts";
import type { MarkChange } from "./qos-marks.ts";
import { ECN, type MarkHop } from "./qos-marks.ts";
import { changeText, ecnName } from "./qos-metrics.ts";

/** `EF (46)`, and `DSCP 5` where there is no name. */
export const dscpText = (value: number): string => {
  const name = dscpName(value);
  return name.startsWith("DSCP") ? name : `${name} (${value})`;
};

const WIDTH = { hop: 3, address: 15, mark: 10 } as const;

/** The hops of a survey. */
export function markRows(hops: readonly MarkHop[], sent: number): Row[] {
  const head: Row = [
    figure("hop", WIDTH.hop, "dim"),
    cell("address", WIDTH.address, "dim"),
    cell("DSCP", WIDTH.mark, "dim"),
    cell("ECN", WIDTH.mark, "dim"),
  ];
  const rows = hops.map(({ ttl, addr, dscp, ecn, protocol }): Row => {
    const place = [figure(String(ttl), WIDTH.hop, addr === null ? "dim" : "plain"), cell(addr ?? "*", WIDTH.address)];
    if (addr === null) return place;
    const dscpTone: Tone = dscp === null ? "dim" : dscp === sent ? "good" : "bad";
    const ecnTone: Tone = ecn === null ? "dim" : ecn === ECN.ect0 ? "good" : ecn === ECN.ce ? "warn" : "bad";
    const remark = dscp === null ? "answers, quotes nothing" : protocol === "tcp" ? "seen by TCP" : "";
    return [
      ...place,
      cell(dscp === null ? "–" : dscpText(dscp), WIDTH.mark, dscpTone),
      cell(ecn === null ? "–" : ecnName(ecn), WIDTH.mark, ecnTone),
      // Behind the columns that the classes have, which it must not widen.
      cell(""),
      cell(""),
      cell(remark, 0, "dim"),
    ];
  });
  return rows.length === 0 ? [] : [head, ...rows];
}

/** The classes of a run. */
export function classRows(classes: readonly ClassResult[]): Row[] {
  const head: Row = [
    cell("class", WIDTH.mark, "dim"),
    figure("sent", 5, "dim"),
    figure("loss", 7, "dim"),
    figure("min", 9, "dim"),
    figure("median", 9, "dim"),
    figure("max", 9, "dim"),
  ];
  const rows = classes.map(
    (each): Row => [
      cell(dscpText(each.dscp), WIDTH.mark),
      figure(String(each.sent), 5),
      figure(percent(each.loss_pct), 7, lossTone(each.loss_pct)),
      figure(milliseconds(each.rtt_min), 9),
      figure(milliseconds(each.rtt_median), 9, "bold"),
      figure(milliseconds(each.rtt_max), 9),
    ],
  );
  return rows.length === 0 ? [] : [head, ...rows];
}

interface Detail {
  readonly marks_until_hop?: number;
  readonly target_quoted?: boolean;
  readonly dscp_change?: MarkChange | null;
  readonly ecn_change?: MarkChange | null;
  readonly ecn_port?: number;
  readonly worst_by?: "loss" | "rtt" | null;
}

/** Reasons why something was not even tried. */
const UNASKED: readonly string[] = ["no_permission", "tool_missing", "unsupported"];

type Words = readonly [text: string, tone: Cell["tone"]];

/** What became of the DSCP. */
export function dscpWords({ metrics, detail }: Pick<Measurement, "metrics" | "detail">): Words {
  const { marks_until_hop = 0, target_quoted = false, dscp_change = null } = detail as Detail;
  const sent = metrics.qos_dscp_sent;
  if (typeof sent !== "number") return ["not followed", "warn"];
  if (dscp_change !== null) return [changeText(dscp_change, sent), "bad"];
  if (metrics.qos_preserved === true) {
    const where = target_quoted
      ? `all the way to the target (hop ${marks_until_hop})`
      : `up to hop ${marks_until_hop}, the last that tells`;
    return [`${dscpText(sent)} is preserved ${where}`, target_quoted ? "good" : "plain"];
  }
  if (metrics.qos_hops_checked === 0 || marks_until_hop === 0) return [`no hop told what became of ${dscpText(sent)}`, "warn"];
  return [`nobody beyond the first hop told what became of ${dscpText(sent)}`, "warn"];
}

function ecnWords({ metrics, reasons, detail }: Measurement): Words {
  const { ecn_port, ecn_change = null } = detail as Detail;
  const cleared = ecn_change === null ? "" : `; its bits are cleared before or at hop ${ecn_change.at_hop}`;
  const tone: Tone = ecn_change === null ? "good" : "bad";
  const unasked = metrics.ecn_blocked === null && UNASKED.includes(reasons.ecn_blocked ?? "");
  if (unasked) return [`not asked for${cleared}`, "warn"];
  if (reasons.ecn_capable === "refused") return [`port ${ecn_port} is closed, which tells nothing of ECN${cleared}`, "warn"];
  if (metrics.ecn_blocked === true) return [`handshakes that ask for ECN are blocked on port ${ecn_port}${cleared}`, "bad"];
  if (metrics.ecn_capable === true) return [`the target negotiates ECN on port ${ecn_port}${cleared}`, tone];
  if (metrics.ecn_capable === false)
    return [`the target does not negotiate ECN on port ${ecn_port}${cleared}`, tone === "bad" ? "bad" : "plain"];
  return [`no handshake on port ${ecn_port} told of ECN${cleared}`, tone === "bad" ? "bad" : "warn"];
}

function classWords({ metrics, reasons, detail }: Measurement): Words {
  const { worst_by } = detail as Detail;
  const { qos_worst_class: worst, qos_rtt_spread_ms: spread } = metrics;
  const apart = typeof spread === "number" ? `; medians are ${milliseconds(spread)} apart` : "";
  if (typeof worst === "string") {
    return [`${worst} ${worst_by === "loss" ? "loses more" : "takes longer"} than the others, beyond chance${apart}`, "bad"];
  }
  const missing = reasons.qos_worst_class ?? "";
  if (UNASKED.includes(missing)) return ["not compared", "warn"];
  if (missing === "not_applicable") return [`none fares worse than the others beyond chance${apart}`, "good"];
  if (reasons.qos_worst_class === "timeout") return ["none was answered", "bad"];
  return [`too few answers to compare them${apart}`, "warn"];
}

/** The finished run in three lines; none where nothing was measured, since the head has said why. */
export function qosView(result: Measurement): readonly Row[] {
  if (result.detail.ecn_port === undefined) return [];
  const say = (what: string, [text, tone]: Words): Row => [cell(what, 8, "dim"), cell(text, 0, tone)];
  return [say("dscp", dscpWords(result)), say("ecn", ecnWords(result)), say("classes", classWords(result))];
}

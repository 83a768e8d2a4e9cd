// The path MTU for people: a row for each size as it is decided, then the verdict and what it rests on.
import type { Measurement } from "#contract/result";
import { cell, figure, lossTone, milliseconds, percent, type Row } from "../rows.ts";
import type { SizeVerdict } from "./mtu-search.ts";

const WORDS = {
  passes: "passes",
  refused: "too big",
  vanishes: "vanishes",
} as const;

/** One size, decided. */
export function decidedRow({ size, verdict, refusal, sent, rtt }: SizeVerdict): Row {
  const tone = verdict === "passes" ? "good" : verdict === "refused" ? "warn" : "bad";
  const remark =
    verdict === "passes"
      ? milliseconds(rtt)
      : verdict === "refused"
        ? `${refusal?.from ?? "a router"} says ${refusal?.mtu ?? "no size"}`
        : `no answer to ${sent}, no ICMP message`;
  return [figure(`${size} B`, 7), cell(WORDS[verdict], 8, tone), cell(remark, 0, "dim")];
}

type Facts = Measurement["metrics"];

function verdict(metrics: Facts, target: string): Row {
  const { path_mtu: mtu, path_mtu_method: method, pmtu_limiting_hop: hop, pmtu_at_least: least } = metrics;
  if (typeof mtu !== "number") {
    if (typeof least !== "number") return [cell("Path MTU unknown", 0, "bad")];
    return [cell(`Packets of ${least} bytes reach ${target}; whether larger ones do is not proven`, 0, "warn")];
  }
  const where = typeof hop === "string" ? ` behind ${hop}` : "";
  if (metrics.pmtu_blackhole === true) {
    return [cell(`Path MTU ${mtu}: larger packets vanish without a word${where} (black hole)`, 0, "bad")];
  }
  if (method === "interface" || mtu === metrics.pmtu_interface_mtu) {
    return [cell(`Path MTU ${mtu}: the whole path carries what the interface sends`, 0, "good")];
  }
  if (method === "route_cache") {
    return [cell(`Path MTU ${mtu} as the kernel remembers it; larger packets could not be tried`, 0, "warn")];
  }
  return [cell(`Path MTU ${mtu}: larger packets are refused${typeof hop === "string" ? ` by ${hop}` : ""}`, 0, "good")];
}

/** The finished run. */
export function mtuView({ metrics, detail, error, address, destination }: Measurement): readonly Row[] {
  const rows: Row[] = [verdict(metrics, address ?? destination)];
  if (error !== null && typeof metrics.pmtu_at_least !== "number") return rows;
  const proof = [`method ${String(metrics.path_mtu_method ?? "none")}`];
  if (typeof metrics.pmtu_icmp_mtu === "number") proof.push(`routers claim ${metrics.pmtu_icmp_mtu}`);
  if (typeof detail.smallest_failed === "number") proof.push(`${detail.largest_passed} passes, ${detail.smallest_failed} fails`);
  rows.push([cell("Proof", 9, "dim"), cell(proof.join(" · "))]);
  if (typeof metrics.pmtu_probes === "number") {
    const lost = percent(metrics.pmtu_loss_pct);
    rows.push([
      cell("Probes", 9, "dim"),
      cell(
        `${metrics.pmtu_probes} sent, small ones lost ${lost}, round trip ${milliseconds(metrics.pmtu_rtt_median)}`,
        0,
        lossTone(metrics.pmtu_loss_pct),
      ),
    ]);
  }
  if (typeof metrics.pmtu_interface_mtu === "number") {
    rows.push([
      cell("Interface", 9, "dim"),
      cell(`${String(detail.interface ?? "")} ${metrics.pmtu_interface_mtu} bytes`.trim()),
    ]);
  }
  return rows;
}

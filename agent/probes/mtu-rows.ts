// The path MTU for people: a row for each size as it is decided, then the verdict and what it rests on.
import type { Measurement } from "#contract/result";
import { cell, figure, lossTone, milliseconds, percent, type Row, type Tone } from "../rows.ts";
import type { HoleEdge } from "./mtu-locate.ts";
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

/** Where a black hole begins. */
export function edgeRow(edge: HoleEdge): Row {
  const from = edge.hop === null ? "no router" : edge.hop;
  const next = edge.beyond === null ? "" : `, small ones ${edge.beyond} too`;
  return [figure("", 7), cell("hole", 8, "bad"), cell(`large packets reach ${from}${next}`, 0, "dim")];
}

type Facts = Measurement["metrics"];

const LABEL = 9;
const fact = (label: string, text: string, tone: Tone = "plain"): Row => [cell(label, LABEL, "dim"), cell(text, 0, tone)];

function verdict(metrics: Facts, target: string): Row {
  const { path_mtu: mtu, path_mtu_method: method, pmtu_limiting_hop: hop, pmtu_at_least: least } = metrics;
  const say = (text: string, tone: Tone) => fact("Path MTU", text, tone);
  if (typeof mtu !== "number") {
    if (typeof least !== "number") return say("unknown", "bad");
    return say(`at least ${least} bytes reach ${target}; whether larger packets do is not proven`, "warn");
  }
  const size = `${mtu} bytes`;
  if (metrics.pmtu_blackhole === true) {
    const where = typeof hop === "string" ? ` behind ${hop}` : "";
    return say(`${size}; larger packets vanish${where} and no ICMP message says so: a black hole`, "bad");
  }
  if (mtu === metrics.pmtu_interface_mtu) return say(`${size}; the whole path carries what the interface sends`, "good");
  if (method === "interface") return say(`${size}; the route of this host allows no more, and the path carries it`, "good");
  if (method === "route_cache") return say(`${size} as the kernel remembers it; larger packets could not be tried`, "warn");
  return say(`${size}; larger packets are refused${typeof hop === "string" ? ` by ${hop}` : ""}`, "good");
}

/** The finished run: the verdict in one sentence, then what it rests on. */
export function mtuView({ metrics, detail, address, destination }: Measurement): readonly Row[] {
  const rows: Row[] = [verdict(metrics, address ?? destination)];
  if (typeof metrics.pmtu_at_least !== "number") return rows;
  const proof = [`method ${String(metrics.path_mtu_method ?? "none")}`];
  if (typeof metrics.pmtu_icmp_mtu === "number") proof.push(`routers claim ${metrics.pmtu_icmp_mtu}`);
  if (typeof detail.smallest_failed === "number") proof.push(`${detail.largest_passed} passes, ${detail.smallest_failed} fails`);
  rows.push(fact("Proof", proof.join(" · ")));
  if (typeof metrics.pmtu_probes === "number") {
    const lost = percent(metrics.pmtu_loss_pct);
    const rtt = milliseconds(metrics.pmtu_rtt_median);
    const text = `${metrics.pmtu_probes} sent; of the small ones ${lost} lost, round trip ${rtt}`;
    rows.push(fact("Probes", text, metrics.pmtu_loss_pct === 0 ? "plain" : lossTone(metrics.pmtu_loss_pct)));
  }
  if (typeof metrics.pmtu_interface_mtu === "number") {
    rows.push(fact("Interface", `${String(detail.interface ?? "")} ${metrics.pmtu_interface_mtu} bytes`.trim()));
  }
  return rows;
}

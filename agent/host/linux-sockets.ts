// TCP, UDP and sockets of this network namespace.
import type { MetricName } from "#contract/metrics";
import type { MetricSheet } from "../probes/probe.ts";
import { round3 } from "../statistics.ts";
import type { HostFiles } from "./linux-files.ts";
import { parseSnmp, parseSnmp6, parseSockstat, parseSoftnetDropped } from "./parse-net.ts";
import { growth, LookBefore, rate } from "./rates.ts";
import { rounded } from "./reading.ts";

type Counters = ReadonlyMap<string, number>;

const TCP_RATES: readonly (readonly [MetricName, string])[] = [
  ["tcp_opens_sec", "ActiveOpens"],
  ["tcp_accepts_sec", "PassiveOpens"],
  ["tcp_failed_sec", "AttemptFails"],
];

export class Sockets {
  readonly #files: HostFiles;
  readonly #before = new LookBefore<Counters>();

  constructor(files: HostFiles) {
    this.#files = files;
  }

  read(sheet: MetricSheet): void {
    const at = this.#files.now();
    const snmp = this.#files.proc("net/snmp");
    this.#tcp(sheet, parseSnmp(snmp, "Tcp"), at);
    this.#udp(sheet, parseSnmp(snmp, "Udp"));
    const extended = parseSnmp(this.#files.proc("net/netstat"), "TcpExt");
    sheet.set("host_tcp_timeouts", extended.get("TCPTimeouts"), "unsupported");
    sheet.set("host_listen_drops", extended.get("ListenDrops"), "unsupported");
    const sockets = parseSockstat(this.#files.proc("net/sockstat"));
    sheet.set("sockets_used", sockets.used, "unsupported");
    sheet.set("tcp_time_wait", sockets.timeWait, "unsupported");
    sheet.set("softnet_dropped", parseSoftnetDropped(this.#files.proc("net/softnet_stat")), "unsupported");
    this.#tracking(sheet);
  }

  #tcp(sheet: MetricSheet, tcp: Counters, at: number): void {
    const before = this.#before.replace(tcp, at);
    sheet.set("tcp_established", tcp.get("CurrEstab"), "unsupported");
    for (const [metric, name] of TCP_RATES) {
      const value = rate(before?.look.get(name), tcp.get(name), before?.seconds ?? 0);
      sheet.set(metric, rounded(value), tcp.has(name) ? "too_few_samples" : "unsupported");
    }
    const sent = growth(before?.look.get("OutSegs"), tcp.get("OutSegs"));
    const again = growth(before?.look.get("RetransSegs"), tcp.get("RetransSegs"));
    // OutSegs leaves out what was sent again (RFC 4022), so a bad minute may reach more than all of it.
    const share = again === undefined || !sent ? undefined : round3(Math.min(100, (100 * again) / sent));
    sheet.set("host_tcp_retrans_pct", share, tcp.has("RetransSegs") ? "too_few_samples" : "unsupported");
  }

  /** Receive and send buffers, both families, since boot. */
  #udp(sheet: MetricSheet, udp: Counters): void {
    const six = this.#files.proc("net/snmp6");
    const known = [
      udp.get("RcvbufErrors"),
      udp.get("SndbufErrors"),
      parseSnmp6(six, "Udp6RcvbufErrors"),
      parseSnmp6(six, "Udp6SndbufErrors"),
    ].filter((figure) => figure !== undefined);
    const drops = known.length === 0 ? undefined : known.reduce((sum, figure) => sum + figure, 0);
    sheet.set("host_udp_drops", drops, "unsupported");
  }

  #tracking(sheet: MetricSheet): void {
    const tracked = Number.parseInt(this.#files.proc("sys/net/netfilter/nf_conntrack_count"), 10);
    const most = Number.parseInt(this.#files.proc("sys/net/netfilter/nf_conntrack_max"), 10);
    const share = most > 0 && tracked >= 0 ? round3((100 * tracked) / most) : undefined;
    sheet.set("conntrack_used_pct", share, "unsupported");
  }
}

// Our TCP connects against the handshakes in the trace, with ss as the peer.
import type { Family, Lab } from "./lab.ts";
import { number, probe } from "./ours.ts";
import { watchSockets } from "./peers.ts";
import { type Floor, TARGET } from "./ping-rows.ts";
import { type Row, Sheet } from "./rows.ts";
import { connectTimes, median } from "./trace.ts";

/** TCP echo: it keeps the connection until we close it, so that ss can look at it. */
const PORT = 7;
const TIMEOUT_S = 3;

export interface ConnectChecks {
  /** Whether the delay is constant, so that the configured RTT is a truth as well. */
  configured: boolean;
}

/** Five connects. The trace must have been reset before; other tests may run beside it, not other connects to the port. */
export async function connectRows(
  lab: Lab,
  floor: Floor,
  setting: string,
  family: Family,
  checks: ConnectChecks,
): Promise<Row[]> {
  const { rtt_ms } = (await lab.truth()).paths.A;
  const work = probe(lab, "tcp", TARGET[family], { port: PORT, timeout: TIMEOUT_S });
  const peer = await watchSockets(lab, PORT, family, work);
  const ours = await work;
  const times = connectTimes(await lab.trace(), family, PORT);
  const made = times.filter((time) => time !== null && time <= TIMEOUT_S * 1000).filter((time) => time !== null);
  const sheet = new Sheet({ bar: "6", setting, family });
  sheet.equal("connects tried", times.length, number(ours, "tcp_attempts"));
  sheet.equal("connected", made.length, number(ours, "tcp_connected"));
  const middle = median(made);
  if (middle === null) return sheet.rows;
  sheet.near("connect median, as it was", middle + floor.ends[family], number(ours, "tcp_connect_ms"), 1);
  if (!checks.configured) return sheet.rows;
  sheet.near("connect median, as configured", rtt_ms + floor.rtt[family], number(ours, "tcp_connect_ms"), 1);
  const lowest = Math.min(...made) + floor.ends[family];
  const beside = { name: "ss", value: peer.min_rtt_ms };
  sheet.near("kernel's lowest round trip", lowest, number(ours, "tcp_min_rtt_ms"), 0.1, beside);
  return sheet.rows;
}

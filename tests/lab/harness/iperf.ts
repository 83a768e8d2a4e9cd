// iperf3 as the peer of bandwidth rows: bulk TCP, its first second left out, counted at the receiver.
import type { Family, Lab } from "./lab.ts";
import { TARGET } from "./ping-rows.ts";

interface IperfReport {
  error?: string;
  end?: { sum_received?: { bits_per_second?: number } };
}

/** Mbit/s that arrived; null when iperf3 says why it could not. */
export async function iperf(
  lab: Lab,
  family: Family,
  direction: "down" | "up",
  { streams, seconds }: { streams: number; seconds: number },
): Promise<number | null> {
  const reverse = direction === "down" ? ["-R"] : [];
  const argv = ["iperf3", "-c", TARGET[family], "-J", "-O", "1", "-t", String(seconds), "-P", String(streams), ...reverse];
  const { stdout } = await lab.exec(argv, { timeout: (seconds + 20) * 1000 });
  const { error, end } = JSON.parse(stdout) as IperfReport;
  const rate = end?.sum_received?.bits_per_second;
  return error !== undefined || rate === undefined ? null : rate / 1e6;
}

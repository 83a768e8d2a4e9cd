// Bar 15: without privilege a ping works through the kernel's ping sockets, or says that it may not; never 100 % loss.

import { FAMILIES, type Family, type Lab } from "./harness/lab.ts";
import { labTest, report } from "./harness/lab-test.ts";
import { number, probe } from "./harness/ours.ts";
import { TARGET } from "./harness/ping-rows.ts";
import { type Row, Sheet } from "./harness/rows.ts";

/** Exit code of a probe that cannot measure here. */
const CANNOT = 3;

async function openRows(lab: Lab, family: Family): Promise<Row[]> {
  const result = await probe(lab, "ping", TARGET[family], { count: 5 }, { unprivileged: true });
  const sheet = new Sheet({ bar: "15", setting: "no privilege, ping sockets open", family });
  sheet.equal("status", "ok", result.status);
  sheet.equal("received", 5, number(result, "ping_received"));
  sheet.equal("method", "icmp", result.metrics.ping_method);
  return sheet.rows;
}

async function closedRows(lab: Lab, family: Family): Promise<Row[]> {
  const result = await probe(lab, "ping", TARGET[family], { count: 5 }, { unprivileged: true });
  const sheet = new Sheet({ bar: "15", setting: "no privilege, ping sockets closed", family });
  sheet.equal("error", "no_permission", result.error?.code);
  sheet.equal("loss %", null, number(result, "ping_loss_pct"));
  sheet.equal("exit code", CANNOT, result.exit);
  // What was measured over TCP in its place must say so, and must not pass for a ping.
  sheet.equal("method", "tcp", result.metrics.ping_method);
  sheet.equal("round trip of a ping", null, number(result, "ping_rtt_median"));
  return sheet.rows;
}

labTest("privileges: ping", async (lab) => {
  await lab.shape("l2", "delay=5ms", "net", "ping-group=open");
  const open = await Promise.all(FAMILIES.map((family) => openRows(lab, family)));
  await lab.change("net", "ping-group=closed");
  const closed = await Promise.all(FAMILIES.map((family) => closedRows(lab, family)));
  report([...open, ...closed].flat());
});

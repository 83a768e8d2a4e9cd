// The registry of probes: one line for each test type of the contract; a missing one does not compile.
import type { TestTypeName } from "#contract/test-types/index";
import { bandwidth } from "./bandwidth.ts";
import { dns } from "./dns.ts";
import { http } from "./http.ts";
import { mtu } from "./mtu.ts";
import { ping } from "./ping.ts";
import type { Probe } from "./probe.ts";
import { qos } from "./qos.ts";
import { tcp } from "./tcp.ts";
import { tls } from "./tls.ts";
import { traceroute } from "./traceroute.ts";
import { udp } from "./udp.ts";
import { voip } from "./voip.ts";

export const PROBES: { readonly [Type in TestTypeName]: Probe<Type> } = {
  ping,
  traceroute,
  tcp,
  tls,
  dns,
  http,
  mtu,
  udp,
  bandwidth,
  voip,
  qos,
};

// Test type to panel: one line for a type that the default panel does not fit.
import { bandwidthPanel } from "./bandwidth.tsx";
import { defaultPanel } from "./default.tsx";
import { dnsPanel } from "./dns.tsx";
import { httpPanel } from "./http.tsx";
import { mtuPanel } from "./mtu.tsx";
import type { Panel } from "./panel.ts";
import { pingPanel } from "./ping.tsx";
import { qosPanel } from "./qos.tsx";
import { tcpPanel } from "./tcp.tsx";
import { tlsPanel } from "./tls.tsx";
import { traceroutePanel } from "./traceroute.tsx";
import { udpPanel } from "./udp.tsx";
import { voipPanel } from "./voip.tsx";

const PANELS: ReadonlyMap<string, Panel> = new Map([
  ["ping", pingPanel],
  ["traceroute", traceroutePanel],
  ["mtu", mtuPanel],
  ["tcp", tcpPanel],
  ["dns", dnsPanel],
  ["tls", tlsPanel],
  ["http", httpPanel],
  ["udp", udpPanel],
  ["bandwidth", bandwidthPanel],
  ["voip", voipPanel],
  ["qos", qosPanel],
]);

const made = new Map<string, Panel>();

export function panelOf(type: string): Panel {
  const own = PANELS.get(type) ?? made.get(type);
  if (own) return own;
  const panel = defaultPanel(type);
  made.set(type, panel);
  return panel;
}

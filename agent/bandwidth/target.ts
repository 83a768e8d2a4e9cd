// What a bandwidth test is pointed at: where its bytes come from and go to, and how it proves that it may.
import { readBandwidthDestination } from "#contract/test-types/bandwidth";
import { type Target, targetOf } from "../http/target.ts";
import type { SessionKey } from "../peer.ts";
import type { Failure } from "../probes/endpoint.ts";
import type { EdgeAccess } from "../probes/probe.ts";
import { authorizationFor, readChallenge } from "../reflector/http-auth.ts";
import { VERSION } from "../version.ts";
import type { Wire } from "./wire.ts";

/** The streaming route of this agent's server. */
const EDGE_PATH = "/api/agent/v1/speed";
const DOWN = "/__down";
const UP = "/__up";

export interface SpeedTarget {
  readonly url: Target;
  /** Whether the server streams as many bytes as are asked for; another URL is downloaded as it is. */
  readonly streams: boolean;
  readonly down: (bytes: number) => string;
  /** Undefined where nothing can be uploaded. */
  readonly up: string | undefined;
  readonly token: string | undefined;
  readonly session: SessionKey | undefined;
}

const refuse = (message: string): Failure => ({
  error: { code: "invalid_instruction", source: "agent", message },
  reason: "not_applicable",
});

function speedServer(url: Target, base: string, proof: Pick<SpeedTarget, "token" | "session">): SpeedTarget {
  return { url, streams: true, down: (bytes) => `${base}${DOWN}?bytes=${bytes}`, up: `${base}${UP}`, ...proof };
}

/** The server behind a destination that has passed the type's check. */
export function speedTarget(
  destination: string,
  port: number,
  around: { readonly edge: EdgeAccess | undefined; readonly session: SessionKey | undefined },
): SpeedTarget | Failure {
  const aim = readBandwidthDestination(destination);
  if ("problem" in aim) return refuse(`destination ${aim.problem}`);
  if (aim.kind === "edge" && around.edge === undefined) {
    return refuse("edge is the server an agent belongs to, which a single run has not; name a URL or a host");
  }
  const host = aim.kind === "host" ? (aim.version === 6 ? `[${aim.host}]` : aim.host) : "";
  const text =
    aim.kind === "edge"
      ? `${around.edge?.server ?? ""}${EDGE_PATH}`
      : aim.kind === "url"
        ? aim.url
        : `http://${host}:${aim.port ?? port}/`;
  const checked = targetOf(text);
  if (!checked.ok) return refuse(`destination ${checked.message}`);
  const url = checked.target;
  const path = url.path.replace(/\?.*$/, "");
  // A token is for its own server only, a session for the reflector it was made with.
  if (aim.kind === "edge") return speedServer(url, path, { token: around.edge?.token, session: undefined });
  const proof = { token: undefined, session: around.session };
  if (path === "/") return speedServer(url, "", proof);
  if (path.endsWith(DOWN) || path.endsWith(UP)) return speedServer(url, path.slice(0, path.lastIndexOf("/")), proof);
  return { url, streams: false, down: () => url.path, up: undefined, ...proof };
}

/** A request's line and headers, with the empty line behind them. `more` are whole header lines. */
export function requestHead(target: SpeedTarget, method: string, path: string, more: readonly string[] = []): string {
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `Host: ${target.url.authority}`,
    `User-Agent: streamswarm-agent/${VERSION}`,
    // Compressed bytes would not say what the line carries.
    "Accept-Encoding: identity",
    "Connection: keep-alive",
    ...(target.token === undefined ? [] : [`Authorization: Bearer ${target.token}`]),
    ...more,
  ];
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/**
 * The header line that proves a reflector's key for one request: costs a round trip, since each nonce serves once. No line
 * where no key is needed; undefined when the connection broke or the server did not ask for a key.
 */
export async function proofLine(wire: Wire, target: SpeedTarget, method: string, path: string): Promise<string[] | undefined> {
  if (target.session === undefined) return [];
  const asked = await wire.exchange({ head: requestHead(target, "GET", target.down(0)) });
  if (!asked.ok) return undefined;
  // An open reflector does not ask.
  if (asked.head.status === 200) return [];
  const nonce = asked.head.status === 401 ? readChallenge(asked.head.headers.get("www-authenticate")) : undefined;
  return nonce === undefined ? [] : [`Authorization: ${authorizationFor(target.session, method, path, nonce)}`];
}

// How a STAMP stream ended, and whose fault it is when it did not go well. Pure; shared by the probes that send one.
import type { Reason } from "#contract/metrics";
import type { StampRun } from "../stamp/sender.ts";
import { type Endpoint, type Failure, STOPPED, showEndpoint } from "./endpoint.ts";
import { isVoid, LATE_MOST_MS, lateness } from "./udp-metrics.ts";

export interface StreamConditions {
  readonly endpoint: Endpoint;
  /** Whether packets carried a key. */
  readonly keyed: boolean;
  /** Whether the run was stopped from outside. */
  readonly stopped: boolean;
}

/** UDP payload that every IPv6 path carries whole (RFC 8200 section 5), bytes. */
const SURE_BYTES = 1232;

const failure = (
  code: Failure["error"]["code"],
  source: Failure["error"]["source"],
  reason: Reason,
  message: string,
): Failure => ({
  error: { code, source, message },
  reason,
});

/** What went wrong with the stream, or undefined. */
export function streamFailure(run: StampRun, conditions: StreamConditions): Failure | undefined {
  const { endpoint, stopped, keyed } = conditions;
  const where = showEndpoint(endpoint);
  const answered = run.packets.filter(({ answer }) => answer !== null).length;
  if (stopped) return STOPPED;
  if (run.end === "unsendable") return unsent(run, where);
  if (run.end === "refused") {
    const message = `nothing listens on UDP port ${endpoint.port} of ${endpoint.address}, says its host or a firewall (ICMP port unreachable); start a STAMP reflector there`;
    return failure("refused", "target", "refused", message);
  }
  if (run.end === "cut") {
    const message = `the run's time was over after ${run.packets.length} packets`;
    return failure("deadline", "agent", "timeout", message);
  }
  if (run.packets.length > 0 && run.unsent === run.packets.length) return unsent(run, where);
  if (answered === 0) return silence(run, where, keyed);
  if (isVoid(run.packets)) return overloaded(run);
  return endedEarly(run, where, answered) ?? partlyUnsent(run, where) ?? allLate(run, where, answered);
}

/** Packets that this host's kernel did not send are part of no figure, which has to be said. */
function partlyUnsent(run: StampRun, where: string): Failure | undefined {
  if (run.unsent === 0) return undefined;
  const { error, reason } = unsent(run, where);
  const message = `${run.unsent} of ${run.packets.length} packets never left and are part of no figure: ${error.message}`;
  return { error: { ...error, message }, reason };
}

/** Answers that all came after the time-out are no measurement. */
function allLate({ packets }: StampRun, where: string, answered: number): Failure | undefined {
  if (packets.some(({ fate }) => fate === "answered")) return undefined;
  const message = `${where} answered ${answered} packets, every one after the time-out; allow more with --timeout`;
  return failure("no_reply", "network", "timeout", message);
}

/** What this host's own kernel said when it sent nothing. */
function unsent({ errors }: StampRun, where: string): Failure {
  const [errno = "UNKNOWN"] = Object.entries(errors).sort((a, b) => b[1] - a[1])[0] ?? [];
  if (errno === "EACCES" || errno === "EPERM") {
    const message = `a rule of this host forbids UDP to ${where} (${errno}); look at its firewall`;
    return failure("filtered", "agent", "no_permission", message);
  }
  if (errno === "EMSGSIZE") {
    const message = `this host's kernel does not send packets of this size to ${where}; choose a smaller --packet-size`;
    return failure("too_large", "agent", "unsupported", message);
  }
  if (["ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "ENETDOWN", "EINVAL", "EAFNOSUPPORT"].includes(errno)) {
    const message = `this host has no route to ${where} (${errno}); look at its addresses and routes`;
    return failure("no_route", "agent", "no_route", message);
  }
  const message = `this host could not send to ${where} (${errno}); look at its open files and its memory`;
  return failure("host_overloaded", "agent", "host_overloaded", message);
}

/** Nothing came that counts: silence, errors of routers, or something that is no STAMP reflector. */
function silence({ rejected, errors, packet_bytes }: StampRun, where: string, keyed: boolean): Failure {
  if (rejected.unauthenticated > 0) {
    const message = `${where} answers, but not with this key; give the key that its reflector printed`;
    return failure("bad_response", "target", "unsupported", message);
  }
  const odd = rejected.malformed + rejected.forged;
  if (odd > 0) {
    const message = `${where} answered ${odd} times, but not as a STAMP reflector does (RFC 8762); look at what listens there`;
    return failure("bad_response", "target", "unsupported", message);
  }
  const router = ["EHOSTUNREACH", "ENETUNREACH", "ENOPROTOOPT", "EHOSTDOWN", "EACCES"].find((errno) => errno in errors);
  if (router !== undefined) {
    const message = `a router or firewall answered that ${where} cannot be reached or is forbidden (${router})`;
    return failure("unreachable", "network", "no_route", message);
  }
  const key = keyed
    ? "its key is another one or it has none (a reflector answers only holders of its key)"
    : "it answers only holders of its key";
  const size =
    packet_bytes > SURE_BYTES ? `, or packets of ${packet_bytes} bytes are too large for the path (probe mtu tells)` : "";
  const message = `no packet was answered by ${where}: no reflector runs there, ${key}, or UDP is lost or filtered on the way${size}`;
  return failure("no_reply", "network", "timeout", message);
}

function overloaded({ packets }: StampRun): Failure {
  const late = lateness(packets)?.toFixed(0);
  const message = `this host was too busy to send on time: one packet in twenty left ${late} ms late or more, ${LATE_MOST_MS} are allowed; the run is void`;
  return failure("host_overloaded", "agent", "host_overloaded", message);
}

/** A reflector that answered and then refused until the end has died meanwhile. */
function endedEarly({ packets, errors }: StampRun, where: string, answered: number): Failure | undefined {
  if (errors.ECONNREFUSED === undefined || packets.at(-1)?.answer !== null) return undefined;
  const message = `${where} answered ${answered} packets, and then nothing listened there any more (ICMP port unreachable)`;
  return failure("refused", "target", "refused", message);
}

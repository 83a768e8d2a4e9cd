// What one run says, in a sentence: its failure in the agent's words, else what its type found.
import { HOST_FLAGS, isHostFlag } from "#contract/flags";
import type { Result } from "#contract/result";
import { formatText, inSentence, sentence } from "./format.ts";
import { lossLevel, lossOf } from "./loss.ts";
import { notMeasured } from "./not-measured.ts";
import { bandwidthVerdict } from "./panels/bandwidth-words.ts";
import { certificateSentence, whyInvalid } from "./panels/certificate.ts";
import { mtuVerdict } from "./panels/mtu-words.ts";
import { qosVerdict } from "./panels/qos-words.ts";
import { udpVerdict } from "./panels/udp-words.ts";
import { voiceVerdict } from "./panels/voice-words.ts";
import { resultTarget, withNames } from "./peers.ts";
import { sinceText } from "./time.ts";
import { plural, type Verdict } from "./verdict.ts";

export interface TestState {
  /** The client is connected. */
  readonly up: boolean;
  readonly enabled: boolean;
  readonly now: number;
}

/** What the newest run says; of a test that does not run now, only what it said then. */
export function testVerdict(result: Result, clientName: string, state: TestState): Verdict {
  const { tone, text } = runSentence(result);
  const from = notMeasured(result) === null ? "Measured from" : "Run by";
  const verdict = { tone, text: `${text} ${from} ${inSentence(clientName)}.${hostNote(result)}` };
  if (state.up && state.enabled) return verdict;
  const why = state.enabled ? `${inSentence(clientName)} is not online` : "The test is paused";
  return { tone: "none", text: `${why}. At ${sinceText(Date.parse(result.started_at), state.now)}: ${verdict.text}` };
}

const WHOSE: Readonly<Record<string, string>> = {
  target: "the destination's side",
  network: "the network",
  resolver: "name resolution",
  agent: "the agent itself",
  tool: "the measuring tool",
};

/** Whose fault a failure is, in words. */
export const whoseText = (source: string) => WHOSE[source] ?? source;

/** What the measuring host was up to during the run, after what was found; empty where it explains nothing. */
function hostNote(result: Result): string {
  const told = notMeasured(result)?.code;
  return result.flags
    .filter(isHostFlag)
    .filter((flag) => flag !== told)
    .map((flag) => ` ${sentence(`${HOST_FLAGS[flag].label}: ${HOST_FLAGS[flag].meaning}`)}`)
    .join("");
}

function failure(result: Result): Verdict {
  const { error, destination } = result;
  const unmeasured = notMeasured(result);
  if (unmeasured !== null && error) {
    const text = `${inSentence(destination)} was not measured: ${unmeasured.why}. ${sentence(withNames(error.message))}`;
    return { tone: unmeasured.tone, text };
  }
  if (!error) return { tone: "bad", text: `The last run to ${inSentence(destination)} failed.` };
  const { message, source } = error;
  return { tone: "bad", text: `${sentence(withNames(message))} Cause: ${whoseText(source)}.` };
}

const fine = (text: string): Verdict => ({ tone: "ok", text });
const worry = (text: string): Verdict => ({ tone: "warn", text });

/** A failure's code as people read it: "DNS not found". */
export const errorWord = (code: string) =>
  code.replaceAll("_", " ").replace(/\b(dns|tcp|tls|http|icmp|mtu|udp)\b/g, (word) => word.toUpperCase());

/** What was measured, with what was wrong in it. */
function partly({ error }: Result, text: string): Verdict {
  return error ? worry(`${text} ${sentence(error.message)}`) : fine(text);
}

function answers(result: Result, metric: string, verb: string): string {
  const value = result.metrics[metric];
  const time = typeof value === "number" ? ` in ${formatText(metric, value)}` : "";
  return `${inSentence(result.destination)} ${verb}${time}`;
}

function ofPing(result: Result): Verdict {
  const text = answers(result, "ping_rtt_median", "answers");
  const loss = lossOf(result.metrics);
  if (loss === null) return result.status === "ok" ? fine(`${text}.`) : partly(result, `${text}.`);
  if (loss === 0) return fine(`${text}, without loss.`);
  const tone = lossLevel(loss) === "high" ? "bad" : "warn";
  return { tone, text: `${text}, but lost ${formatText("ping_loss_pct", loss)} of packets in the last run.` };
}

function ofTraceroute(result: Result): Verdict {
  const { path_reached: reached, path_hop_count: hops, path_first_silent_ttl: silent, path_changed: changed } = result.metrics;
  const target = inSentence(result.destination);
  if (result.metrics.path_loop_detected === true) return { tone: "bad", text: `Packets to ${target} run in a loop.` };
  if (reached === false) {
    const where = typeof silent === "number" ? ` from hop ${silent} on` : "";
    return worry(`${target} was not reached: no answer${where}.`);
  }
  const distance =
    typeof hops === "number" ? `${target} is ${hops} ${hops === 1 ? "hop" : "hops"} away` : `${target} was reached`;
  const rtt = result.metrics.path_rtt_median;
  const text = typeof rtt === "number" ? `${distance}, ${formatText("path_rtt_median", rtt)}` : distance;
  return changed === true ? worry(`${text}; the path changed since the run before.`) : partly(result, `${text}.`);
}

function ofTcp(result: Result): Verdict {
  const { tcp_port: port, tcp_failed_pct: failed } = result.metrics;
  const named = typeof port !== "number" || result.destination.endsWith(`:${port}`);
  const text = answers(result, "tcp_connect_ms", named ? "takes connections" : `takes connections to port ${port}`);
  if (typeof failed !== "number" || failed === 0) return partly(result, `${text}.`);
  const tone = lossLevel(failed) === "high" ? "bad" : "warn";
  return { tone, text: `${text}, but ${formatText("tcp_failed_pct", failed)} of the connects failed.` };
}

function ofDns(result: Result): Verdict {
  const {
    dns_rcode: rcode,
    dns_answers: count,
    dns_server: server,
    dns_query_ms: ms,
    dns_resolver_diff: differ,
  } = result.metrics;
  const who = typeof server === "string" ? `${server} answers` : "The answer is";
  const what =
    rcode === "NOERROR"
      ? `${count === 1 ? "1 record" : `${formatText("dns_answers", count)} records`} for`
      : `${String(rcode ?? "nothing")} for`;
  const text = `${who} ${what} ${inSentence(result.destination)}${typeof ms === "number" ? ` in ${formatText("dns_query_ms", ms)}` : ""}.`;
  return differ === true ? worry(`${text} The resolvers do not agree.`) : partly(result, text);
}

function ofTls(result: Result): Verdict {
  const version = result.metrics.tls_version;
  const said = answers(
    result,
    "tls_handshake_ms",
    typeof version === "string" ? `agrees on ${version.replace("TLSv", "TLS ")}` : "answers TLS",
  );
  const certificate = certificateSentence(result);
  return certificate ? { tone: certificate.tone, text: `${said}. ${certificate.text}` } : partly(result, `${said}.`);
}

function ofHttp(result: Result): Verdict {
  const { http_status: status, http_redirects: redirects, http_redirects_ms: before, http_total_ms: last } = result.metrics;
  const verb = typeof status === "number" ? `answers ${status}` : "answers";
  const redirected = typeof redirects === "number" && redirects > 0;
  const all = redirected && typeof before === "number" && typeof last === "number" ? before + last : last;
  const answer = answers({ ...result, metrics: { ...result.metrics, http_total_ms: all ?? null } }, "http_total_ms", verb);
  const text = redirected ? `${answer}, after ${plural(redirects, "redirect")}.` : `${answer}.`;
  if (result.status !== "ok") return partly(result, text);
  // A run that went well although its certificate is not valid was told to accept that.
  const why = whyInvalid(result);
  if (why !== null) return fine(`${text} Its certificate is not valid, which this test accepts: ${why}.`);
  const certificate = certificateSentence(result);
  return certificate && certificate.tone !== "ok" ? { tone: certificate.tone, text: `${text} ${certificate.text}` } : fine(text);
}

const OF_TYPE: ReadonlyMap<string, (result: Result) => Verdict> = new Map([
  ["ping", ofPing],
  ["traceroute", ofTraceroute],
  ["mtu", mtuVerdict],
  ["tcp", ofTcp],
  ["dns", ofDns],
  ["tls", ofTls],
  ["http", ofHttp],
  ["udp", udpVerdict],
  ["bandwidth", bandwidthVerdict],
  ["voip", voiceVerdict],
  ["qos", qosVerdict],
]);

export function runSentence(run: Result): Verdict {
  // A client that was measured is called by its name.
  const result = { ...run, destination: resultTarget(run) };
  if (result.status === "failed") return failure(result);
  const say = OF_TYPE.get(result.type);
  return say ? say(result) : partly(result, `${inSentence(result.destination)} answers.`);
}

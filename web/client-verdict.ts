// How one client is, in a sentence.
import type { ClientDetail } from "#contract/api";
import type { Result } from "#contract/result";
import { cutOffText, type Span } from "./cut-off.ts";
import { formatText, inSentence, typeAndTarget } from "./format.ts";
import { isUp, STATUS_WORD, statusReason, whileOffline } from "./health.ts";
import { isFailing, notMeasured } from "./not-measured.ts";
import { resultTarget } from "./peers.ts";
import { runSentence } from "./run-verdict.ts";
import { sinceText } from "./time.ts";
import { plural, type Verdict } from "./verdict.ts";

type Client = Omit<ClientDetail, "tests">;

/** An outage this long ago still belongs in the sentence. */
const RECENT_MS = 3_600_000;

/** `outage` is the newest stretch of time in which the client reached nothing, where there was one. */
export function clientVerdict(client: Client, now: number, outage: Span | null = null): Verdict {
  const since = sinceText(Date.parse(client.status_since), now);
  const name = inSentence(client.name);
  if (client.status === "never_seen") {
    const registered = sinceText(Date.parse(client.created_at), now);
    return { tone: "none", text: `${name} registered at ${registered} and has not connected yet.` };
  }
  if (!isUp(client.status)) {
    const seen = client.status === "offline" ? ` ${whileOffline(client.status_reason)}` : "";
    const reason = statusReason(client.status_reason);
    const why = reason === STATUS_WORD[client.status] ? "" : ` (${reason})`;
    return { tone: "none", text: `${name} is ${STATUS_WORD[client.status]} since ${since}${why}.${seen}` };
  }
  // A run that was not measured says nothing of its target.
  const measured = { ...client, latest: client.latest.filter((result) => notMeasured(result) === null) };
  const cut = cutOffPart(client, name, outage, now);
  if (cut && measured.latest.every((result) => !isFailing(result))) return cut;
  const verdict =
    failingPart(measured, name) ??
    lossPart(measured, name) ??
    overloadedPart(client, name) ??
    worryPart(measured, name) ??
    goodPart(client, name, since);
  if (outage === null || now - outage.to > RECENT_MS) return verdict;
  return { ...verdict, text: `${verdict.text} It ${cutOffText(outage, now)}.` };
}

const unmeasured = ({ latest }: Client, code: string) => latest.filter((result) => notMeasured(result)?.code === code);

/** While tests have not run since the client was cut off, that is what there is to say. */
function cutOffPart(client: Client, name: string, outage: Span | null, now: number): Verdict | null {
  const tests = unmeasured(client, "cut_off").length;
  if (tests === 0 || outage === null) return null;
  const rest = `${plural(tests, "test")} ${tests === 1 ? "has" : "have"} not run since, so of ${tests === 1 ? "its target" : "their targets"} nothing is known.`;
  return { tone: "warn", text: `${name} ${cutOffText(outage, now)}. ${rest}` };
}

function overloadedPart(client: Client, name: string): Verdict | null {
  const late = unmeasured(client, "host_overloaded");
  if (late.length === 0) return null;
  const what = `${plural(late.length, "test")} could not be measured`;
  return { tone: "warn", text: `${name} is online, but has no processor time to spare: ${what}.` };
}

const label = (result: Result) => typeAndTarget(result.type, resultTarget(result));

function failingPart({ latest }: Client, name: string): Verdict | null {
  const failing = latest.filter(isFailing);
  const [only] = failing;
  if (!only) return null;
  if (failing.length === 1 && only.error) {
    return { tone: "bad", text: `${name} is online, but ${label(only)} fails: ${runSentence(only).text}` };
  }
  const where = failing.slice(0, 2).map(label);
  const both = failing.length > 2 ? `${where.join(", ")} and ${failing.length - 2} more` : where.join(" and ");
  return { tone: "bad", text: `${name} is online, but ${both} failed in the last run.` };
}

function lossPart({ latest }: Client, name: string): Verdict | null {
  const lossy = latest.filter((result) => Number(result.metrics.ping_loss_pct ?? 0) > 0);
  if (lossy.length === 0) return null;
  const where = lossy
    .slice(0, 2)
    .map((result) => `${formatText("ping_loss_pct", result.metrics.ping_loss_pct)} to ${inSentence(resultTarget(result))}`);
  return { tone: "warn", text: `${name} is online and loses packets: ${where.join(", ")}.` };
}

/** A run that went well and yet found something: a certificate about to expire, a path that changed. */
function worryPart({ latest }: Client, name: string): Verdict | null {
  const worries = latest.map(runSentence).filter(({ tone }) => tone === "warn" || tone === "bad");
  const worst = worries.find(({ tone }) => tone === "bad") ?? worries[0];
  return worst ? { tone: worst.tone, text: `${name} is online. ${worst.text}` } : null;
}

function goodPart(client: Client, name: string, since: string): Verdict {
  const refused = unmeasured(client, "not_consented").length;
  const answered = client.latest.length - refused;
  const lossless = client.latest.some((result) => typeof result.metrics.ping_loss_pct === "number") ? " without loss" : "";
  const parts = [
    answered > 0 ? `its ${plural(answered, "test")} last answered${lossless}` : null,
    refused > 0 ? `${plural(refused, "test")} ${refused === 1 ? "is" : "are"} not allowed by the host's owner` : null,
  ].filter((part) => part !== null);
  const what = parts.length > 0 ? parts.join("; ") : "no test has answered yet";
  return { tone: answered === 0 && refused > 0 ? "none" : "ok", text: `${name} is online since ${since}; ${what}.` };
}

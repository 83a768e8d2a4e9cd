// How one client is, in a sentence.
import type { ClientDetail } from "#contract/api";
import type { Result } from "#contract/result";
import { formatText, inSentence, typeAndTarget } from "./format.ts";
import { isUp, STATUS_WORD, statusReason, whileOffline } from "./health.ts";
import { resultTarget } from "./peers.ts";
import { runSentence } from "./run-verdict.ts";
import { sinceText } from "./time.ts";
import { plural, type Verdict } from "./verdict.ts";

type Client = Omit<ClientDetail, "tests">;

export function clientVerdict(client: Client, now: number): Verdict {
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
  return failingPart(client, name) ?? lossPart(client, name) ?? worryPart(client, name) ?? goodPart(client, name, since);
}

const label = (result: Result) => typeAndTarget(result.type, resultTarget(result));

function failingPart({ latest }: Client, name: string): Verdict | null {
  const failing = latest.filter((result) => result.status === "failed");
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

function goodPart({ latest }: Client, name: string, since: string): Verdict {
  if (latest.length === 0) return { tone: "ok", text: `${name} is online since ${since}; no test has answered yet.` };
  const lossless = latest.some((result) => typeof result.metrics.ping_loss_pct === "number") ? " without loss" : "";
  return { tone: "ok", text: `${name} is online since ${since}; its ${plural(latest.length, "test")} last answered${lossless}.` };
}

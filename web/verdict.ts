// Sentences a manager understands, made of nothing but the data on the page.
import type { ClientDetail, FleetClient } from "#contract/api";
import type { Result } from "#contract/result";
import { formatText, inSentence } from "./format.ts";
import { fleetHealth, headline, isUp, STATUS_WORD, statusReason, type Tone, whileOffline } from "./health.ts";
import { lossLevel } from "./loss.ts";
import { sinceText } from "./time.ts";

export interface Verdict {
  readonly tone: Tone;
  readonly text: string;
}

export const plural = (count: number, one: string, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

function names(clients: readonly FleetClient[]): string {
  const [first, second] = clients;
  if (clients.length === 1 && first) return inSentence(first.name);
  if (clients.length === 2 && first && second) return `${inSentence(first.name)} and ${inSentence(second.name)}`;
  return `${inSentence(first?.name ?? "")} and ${clients.length - 1} more`;
}

function offlinePart(offline: readonly FleetClient[], now: number): string | null {
  const [first] = offline;
  if (!first) return null;
  if (offline.length === 1) {
    const since = sinceText(Date.parse(first.status_since), now);
    return `${inSentence(first.name)} is offline since ${since} (${statusReason(first.status_reason)})`;
  }
  return `${names(offline)} are offline`;
}

function failingPart(clients: readonly FleetClient[]): string | null {
  const failing = clients.filter((client) => isUp(client.status) && client.failing > 0);
  const tests = failing.reduce((sum, client) => sum + client.failing, 0);
  return tests === 0 ? null : `${plural(tests, "test")} failing on ${names(failing)}`;
}

function lossPart(clients: readonly FleetClient[]): string | null {
  const lossy = clients
    .filter((client) => isUp(client.status) && client.failing === 0 && (headline(client, "ping_loss_pct") ?? 0) > 0)
    .sort((a, b) => (headline(b, "ping_loss_pct") ?? 0) - (headline(a, "ping_loss_pct") ?? 0));
  const [worst] = lossy;
  if (!worst) return null;
  const loss = formatText("ping_loss_pct", headline(worst, "ping_loss_pct"));
  return `${inSentence(worst.name)} lost ${loss} of packets in its worst test${lossy.length > 1 ? `, ${lossy.length - 1} more with loss` : ""}`;
}

export function fleetVerdict(all: readonly FleetClient[], now: number): Verdict {
  const clients = all.filter((client) => client.status !== "retired").sort((a, b) => a.name.localeCompare(b.name));
  if (clients.length === 0) return { tone: "none", text: "No client has registered yet." };
  const offline = clients.filter((client) => client.status === "offline");
  const waiting = clients.filter((client) => client.status === "never_seen" || client.status === "pending");
  const parts = [
    offlinePart(offline, now),
    failingPart(clients),
    lossPart(clients),
    waiting.length > 0 ? `${names(waiting)} ${waiting.length === 1 ? "has" : "have"} not connected yet` : null,
  ].filter((part) => part !== null);
  if (parts.length === 0) {
    const who = clients.length === 1 ? `${inSentence(clients[0]?.name ?? "")} is` : `All ${clients.length} clients are`;
    return { tone: "ok", text: `${who} online; nothing is failing.` };
  }
  const tones = clients.map((client) => fleetHealth(client).tone);
  const tone = tones.includes("bad") ? "bad" : tones.includes("warn") ? "warn" : "none";
  return { tone, text: `${parts.join("; ")}.` };
}

export function clientVerdict(client: Omit<ClientDetail, "tests">, now: number): Verdict {
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
  const failing = client.latest.filter((result) => result.status === "failed");
  if (failing.length > 0) {
    const where = failing.slice(0, 2).map((result) => `${result.type} to ${result.destination}`);
    const both = failing.length > 2 ? `${where.join(", ")} and ${failing.length - 2} more` : where.join(" and ");
    return { tone: "bad", text: `${name} is online, but ${both} failed in the last run.` };
  }
  const lossy = client.latest.filter((result) => Number(result.metrics.ping_loss_pct ?? 0) > 0);
  if (lossy.length > 0) {
    const where = lossy
      .slice(0, 2)
      .map((result) => `${formatText("ping_loss_pct", result.metrics.ping_loss_pct)} to ${result.destination}`);
    return { tone: "warn", text: `${name} is online and loses packets: ${where.join(", ")}.` };
  }
  if (client.latest.length === 0) return { tone: "ok", text: `${name} is online since ${since}; no test has answered yet.` };
  return {
    tone: "ok",
    text: `${name} is online since ${since}; its ${plural(client.latest.length, "test")} last answered without loss.`,
  };
}

export interface TestState {
  /** The client is connected. */
  readonly up: boolean;
  readonly enabled: boolean;
  readonly now: number;
}

/** What the newest run says; of a test that does not run now, only what it said then. */
export function testVerdict(result: Result, clientName: string, state: TestState): Verdict {
  const verdict = runVerdict(result, clientName);
  if (state.up && state.enabled) return verdict;
  const why = state.enabled ? `${inSentence(clientName)} is not online` : "The test is paused";
  return { tone: "none", text: `${why}. At ${sinceText(Date.parse(result.started_at), state.now)}: ${verdict.text}` };
}

function runVerdict(result: Result, clientName: string): Verdict {
  const route = `${result.destination} from ${inSentence(clientName)}`;
  if (result.status === "failed") {
    const why = result.error ? `: ${result.error.message} (${result.error.source})` : "";
    return { tone: "bad", text: `The last run to ${route} failed${why}.` };
  }
  const loss = result.metrics.ping_loss_pct;
  const median = result.metrics.ping_rtt_median;
  const answers =
    typeof median === "number" ? `${route} answers in ${formatText("ping_rtt_median", median)}` : `${route} answers`;
  if (typeof loss !== "number") return { tone: result.status === "ok" ? "ok" : "warn", text: `${answers}.` };
  if (loss === 0) return { tone: "ok", text: `${answers}, without loss.` };
  const tone = lossLevel(loss) === "high" ? "bad" : "warn";
  return { tone, text: `${answers}, but lost ${formatText("ping_loss_pct", loss)} of packets in the last run.` };
}

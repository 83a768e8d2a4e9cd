// Sentences a manager understands, made of nothing but the data on the page.
import type { FleetClient } from "#contract/api";
import { formatText, inSentence } from "./format.ts";
import { fleetHealth, headline, isUp, statusReason, type Tone } from "./health.ts";
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

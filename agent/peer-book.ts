// Where other clients are and the keys their reflectors answer to, as the server tells; kept, so that measuring goes on
// while the server is away.
import { setTimeout as pause } from "node:timers/promises";
import { checkHost, peerDestination } from "#contract/destination";
import { LIMITS } from "#contract/limits";
import type { PeerReply, PeersReply } from "#contract/peers";
import type { Measurement, ResultError } from "#contract/result";
import type { InstructedTest } from "#contract/wire";
import type { Answer } from "./edge-http.ts";
import { hostClock } from "./host-clock.ts";
import type { Peer, PeerDirectory, PeerWish } from "./peer.ts";
import { waitFor } from "./wait.ts";

/** Runs that begin together are asked for together, milliseconds. */
const GATHER_MS = 20;
/** A client named a moment ago may still be telling where it is: asked again this often, for so long, milliseconds. */
const RETRY_MS = 1000;
const PATIENCE_MS = 10_000;
/** After a measurement failed, the server is asked again; less and less often while its answer stays the same, milliseconds. */
const DOUBT_MS = 60_000;
const DOUBT_MOST_MS = 30 * 60_000;
/** Longest wait for a second opinion on something that is known, milliseconds. */
const SECOND_OPINION_MS = 3000;
/** A server that did not answer is left in peace for a moment, milliseconds. */
const AWAY_MS = 900;
/** Failures that say nothing about whether the other client is where it was. */
const OWN_FAULTS: readonly string[] = [
  "skipped",
  "aborted",
  "invalid_instruction",
  "unsupported",
  "tool_missing",
  "no_permission",
  "over_budget",
  "peer_unavailable",
  "internal",
];

type Found = Extract<PeerReply, { addresses: string[] }>;

interface Entry {
  /** When a test named the client that had not named it before, by the monotonic clock. */
  since: number;
  reply: PeerReply | undefined;
  /** When the reply came, and when its key ends, by the steady clock: nobody sets it. */
  learned: number;
  until: number;
  /** By the monotonic clock. */
  askedAt: number;
  /** Whether the last measurement failed and the server was not asked since. */
  doubted: boolean;
  /** Times the server said the same after a failure. */
  confirmed: number;
  /** Which of the addresses is in use. */
  turn: number;
  /** Whether the address in use ever answered. */
  worked: boolean;
}

export interface PeerBookParts {
  /** Asks the server for clients. */
  readonly ask: (ids: readonly string[]) => Promise<Answer<PeersReply>>;
  /** Addresses of this host: another client's are elsewhere, as far as it has others. */
  readonly own: () => readonly string[];
  /** Whether this host can reach addresses of a family. */
  readonly has: (family: 4 | 6) => boolean;
}

const problem = (source: ResultError["source"], message: string): { problem: ResultError } => ({
  problem: { code: "peer_unavailable", source, message },
});

export class PeerBook implements PeerDirectory {
  readonly #parts: PeerBookParts;
  readonly #entries = new Map<string, Entry>();
  /** Tests that name a client. */
  #tests: ReadonlySet<string> = new Set();
  readonly #wanted = new Set<string>();
  #asking: Promise<void> | undefined;
  #away: { at: number; why: string } | undefined;

  constructor(parts: PeerBookParts) {
    this.#parts = parts;
  }

  /** Follows a new instruction: clients that no test names any more are forgotten. */
  follow(tests: readonly Pick<InstructedTest, "test_id" | "destination">[]): void {
    const naming = tests.flatMap(({ test_id, destination }) => idsIn(destination).map((id) => ({ test_id, id })));
    const named = new Set(naming.map(({ id }) => id));
    for (const id of this.#entries.keys()) if (!named.has(id)) this.#entries.delete(id);
    // The other client may learn only now that it is measured, and may have to open its reflector first.
    for (const { test_id, id } of naming) if (!this.#tests.has(test_id)) this.#entry(id).since = performance.now();
    this.#tests = new Set(naming.map(({ test_id }) => test_id));
  }

  /** Everything learned counts no more: this agent is another client now. */
  forget(): void {
    for (const id of this.#entries.keys()) this.#entries.set(id, fresh());
  }

  async find(clientId: string, wish: PeerWish, signal: AbortSignal): Promise<Peer | { problem: ResultError }> {
    for (;;) {
      const entry = this.#entry(clientId);
      const before = this.#judge(entry, wish);
      await this.#refresh(clientId, entry, "problem" in before, signal);
      const now = this.#entry(clientId);
      const verdict = this.#judge(now, wish);
      const settled = !("problem" in verdict) || !maySettle(now, wish) || performance.now() > now.since + PATIENCE_MS;
      if (settled || signal.aborted) return verdict;
      // The only way a pause fails is its signal, which the loop looks at.
      await pause(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** What a measurement against a client says about where it is. */
  report(clientId: string, result: Pick<Measurement, "status" | "error">): void {
    const entry = this.#entries.get(clientId);
    if (entry === undefined) return;
    if (result.status !== "failed") {
      Object.assign(entry, { doubted: false, confirmed: 0, worked: true });
      return;
    }
    if (result.error !== null && OWN_FAULTS.includes(result.error.code)) return;
    entry.doubted = true;
    // An address that worked is the path that is measured: going on by another one would hide that it broke.
    if (!entry.worked) entry.turn += 1;
  }

  #entry(id: string): Entry {
    const known = this.#entries.get(id) ?? fresh();
    this.#entries.set(id, known);
    return known;
  }

  /** Asks the server where that is due. What is known and only old is used meanwhile. */
  async #refresh(id: string, entry: Entry, lacking: boolean, signal: AbortSignal): Promise<void> {
    if (!isDue(entry, lacking)) return;
    const asked = this.#ask(id);
    if (lacking) await waitFor(asked, signal);
    else if (entry.doubted) await waitFor(Promise.race([asked, pause(SECOND_OPINION_MS, undefined, { ref: false })]), signal);
  }

  /** Asks with whatever else is asked at this moment; everything else that is due goes along. */
  #ask(id: string): Promise<void> {
    this.#wanted.add(id);
    this.#asking ??= this.#askAll().finally(() => {
      this.#asking = undefined;
    });
    const asking = this.#asking;
    return asking.then(() => (this.#wanted.has(id) ? this.#ask(id) : undefined));
  }

  async #askAll(): Promise<void> {
    await pause(GATHER_MS);
    const now = performance.now();
    for (const [id, entry] of this.#entries) if (isDue(entry, isLacking(entry))) this.#wanted.add(id);
    const ids = [...this.#wanted].slice(0, LIMITS.peersAtOnce);
    for (const id of ids) this.#wanted.delete(id);
    for (const id of ids) this.#entry(id).askedAt = now;
    if (this.#away !== undefined && now - this.#away.at < AWAY_MS) return;
    const answer = await this.#parts.ask(ids);
    if (answer.ok) {
      this.#away = undefined;
      this.#learn(answer.value);
    } else {
      this.#away = { at: performance.now(), why: "refused" in answer ? answer.refused.detail : answer.unreachable };
    }
  }

  #learn({ peers, server_time }: PeersReply): void {
    const now = hostClock.steady();
    for (const reply of peers) {
      const entry = this.#entries.get(reply.client_id);
      if (entry === undefined) continue;
      const before = entry.reply;
      const moved = before === undefined || whereabouts(before) !== whereabouts(reply);
      const news = moved || !("key" in before && "key" in reply && before.key === reply.key);
      entry.confirmed = entry.doubted && !news ? entry.confirmed + 1 : 0;
      if (moved) Object.assign(entry, { turn: 0, worked: false });
      entry.doubted = false;
      entry.reply = reply;
      entry.learned = now;
      entry.until = "until" in reply ? reply.until - server_time + now : now;
    }
  }

  /** What is known, as an answer. */
  #judge(entry: Entry, wish: PeerWish): Peer | { problem: ResultError } {
    const { reply } = entry;
    if (reply !== undefined && !("addresses" in reply)) return refused(reply.problem);
    if (reply === undefined || isLacking(entry)) return problem("agent", this.#unasked());
    if (wish.reflector && reply.port === null) {
      const why = "its agent is stopped, or its owner does not allow one (--no-reflector, consent file)";
      return problem("target", `${reply.name} has no reflector open: ${why}; allow it there, or take the client out of the test`);
    }
    const address = this.#addressOf(reply, entry, wish.ip_version);
    if (address === undefined) {
      const family = wish.ip_version === undefined ? "of a family that this host has too" : `for IPv${wish.ip_version}`;
      return problem("target", `${reply.name} has no address ${family} (it has ${reply.addresses.join(", ")})`);
    }
    const session = { ssid: reply.ssid, key: new Uint8Array(Buffer.from(reply.key, "base64url")) };
    return { client_id: reply.client_id, name: reply.name, address, port: reply.port, session };
  }

  #unasked(): string {
    const why = this.#away === undefined ? "it has not been asked yet" : this.#away.why;
    return `the server could not be asked where the other client is (${why}); this is measured again when it answers`;
  }

  #addressOf(reply: Found, entry: Entry, wanted: 4 | 6 | undefined): string | undefined {
    const ofFamily = reply.addresses.filter((address) => {
      // What no test may name as its destination, a server may not hand out as a client's address either.
      const checked = checkHost(address);
      const version = checked.ok ? checked.version : 0;
      return version !== 0 && (wanted === undefined ? this.#parts.has(version) || isLoopback(address) : version === wanted);
    });
    const own = new Set(this.#parts.own());
    const elsewhere = ofFamily.filter((address) => !own.has(address) && !isLoopback(address));
    const usable = elsewhere.length > 0 ? elsewhere : ofFamily;
    return usable[entry.turn % Math.max(1, usable.length)];
  }
}

const isLoopback = (address: string): boolean => address === "::1" || address.startsWith("127.");

const fresh = (): Entry => ({
  since: performance.now(),
  reply: undefined,
  learned: 0,
  until: 0,
  askedAt: Number.NEGATIVE_INFINITY,
  doubted: false,
  confirmed: 0,
  turn: 0,
  worked: false,
});

function idsIn(destination: string): string[] {
  const named = peerDestination(destination);
  return named?.kind === "client" ? [named.client_id] : [];
}

/** The part of an answer that says where a client is, to compare. */
const whereabouts = (reply: PeerReply): string =>
  JSON.stringify("addresses" in reply ? [reply.addresses, reply.port] : reply.problem);

/** Whether nothing in force is known. */
const isLacking = ({ reply, until }: Entry): boolean =>
  reply === undefined || !("addresses" in reply) || hostClock.steady() >= until;

/** Whether a problem may be gone in a moment: the other client may be about to say where it is, or to open its reflector. */
function maySettle(entry: Entry, wish: PeerWish): boolean {
  const { reply } = entry;
  if (reply !== undefined && "problem" in reply) return reply.problem === "no_address";
  return isLacking(entry) || (wish.reflector && reply?.port === null);
}

/** Whether the server has to be asked about a client. */
function isDue(entry: Entry, lacking: boolean): boolean {
  const now = performance.now();
  const waited = now - entry.askedAt;
  if (lacking) return waited >= (now < entry.since + PATIENCE_MS ? RETRY_MS : DOUBT_MS);
  if (entry.doubted) return waited >= Math.min(DOUBT_MOST_MS, DOUBT_MS * 2 ** Math.min(entry.confirmed, 10));
  return hostClock.steady() >= entry.learned + (entry.until - entry.learned) / 2 && waited >= DOUBT_MS;
}

/** What the server's no means. */
function refused(why: string): { problem: ResultError } {
  switch (why) {
    case "unknown":
      return problem("target", "the other client was retired or deleted; take it out of the test");
    case "not_yours":
      return problem("agent", "no test of this client names the other one any more; the next instruction ends this");
    case "no_address":
      return problem(
        "target",
        "the other client has not told the server where it is; see that its agent runs, is connected and not older than this one",
      );
    default:
      return problem("target", `the server does not say where the other client is (${why})`);
  }
}

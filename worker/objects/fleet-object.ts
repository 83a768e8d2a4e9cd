// The whole fleet in one place: every client's line, and the browsers that look at it. Clients report state changes always
// and measurements only while somebody watches. A line is stored when its state changes (one row); figures in between live
// in memory and are asked again after an eviction.
import { DurableObject } from "cloudflare:workers";
import type { FleetClient } from "#contract/api";
import { CADENCE } from "#contract/limits";
import { clientObject, type Env } from "../env.ts";
import { logError } from "../log.ts";
import { slices } from "../slices.ts";
import { findClient } from "../store/clients.ts";
import { database } from "../store/database.ts";
import { closeReply } from "./agent-link.ts";
import { Browsers } from "./browsers.ts";
import { WitnessRegister } from "./witness-register.ts";
import type { SharedEvidence, WitnessAsk, WitnessChoice } from "./witness-wire.ts";

const LEASE_MS = CADENCE.leaseS * 1000;
/** Clients asked at the same time. */
const PARALLEL = 20;
/** A line of a client that measures is asked again after this long, milliseconds. */
const STALE_AFTER_MS = 30_000;
/** Lines asked again for one read; the rest show what is known, with its time. */
const REFRESH_AT_MOST = 100;
const PREFIX = "line:";

export class FleetObject extends DurableObject<Env> {
  readonly #browsers: Browsers;
  readonly #lines = new Map<string, FleetClient>();
  /** Clients retired or deleted since this object woke. */
  readonly #gone = new Set<string>();
  /** When each line was last reported or asked, epoch milliseconds; absent after an eviction. */
  readonly #heardAt = new Map<string, number>();
  readonly #witnesses: WitnessRegister;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    context.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
    this.#browsers = new Browsers(context);
    for (const [, line] of context.storage.kv.list<FleetClient>({ prefix: PREFIX })) this.#lines.set(line.id, line);
    this.#witnesses = new WitnessRegister(env, this.#lines);
  }

  /** A client's line changed. The answer says until when the fleet is watched, 0 when nobody looks. */
  async report(line: FleetClient, changed: boolean): Promise<{ watched_until: number }> {
    if (line.status === "retired") this.gone(line.id, line.site);
    // A line never seen before is either a new client or the last word of a deleted one; D1 knows which.
    const known = this.#lines.has(line.id) || (await findClient(database(this.env.DB), line.id)) !== undefined;
    if (!known) this.#gone.add(line.id);
    if (!this.#take(line)) return { watched_until: 0 };
    if (changed) this.ctx.storage.kv.put(PREFIX + line.id, line);
    const { id, status, status_reason, status_since, last_seen_at } = line;
    if (changed)
      this.#browsers.send(
        { type: "status", client_id: id, status, status_reason, status_since, last_seen_at, client: line },
        line.site,
      );
    else this.#browsers.send({ type: "summary", client: line }, line.site);
    return { watched_until: this.#browsers.count() > 0 ? Date.now() + LEASE_MS : 0 };
  }

  /** False for a client that is no more: what it was still saying when it was retired or deleted must not bring it back. */
  #take(line: FleetClient): boolean {
    if (line.status === "retired" || this.#gone.has(line.id)) return false;
    this.#lines.set(line.id, line);
    this.#heardAt.set(line.id, Date.now());
    return true;
  }

  gone(clientId: string, site: string): void {
    this.#gone.add(clientId);
    this.#lines.delete(clientId);
    this.ctx.storage.kv.delete(PREFIX + clientId);
    this.#browsers.send({ type: "gone", client_id: clientId }, site);
  }

  /** Lines of these clients. Unknown ones, and those of measuring clients not heard of lately, are asked from the clients. */
  async lines(ids: string[]): Promise<FleetClient[]> {
    const oldest = Date.now() - STALE_AFTER_MS;
    const stale = (id: string) => {
      const line = this.#lines.get(id);
      return line === undefined || (isMeasuring(line) && (this.#heardAt.get(id) ?? 0) < oldest);
    };
    const asked = ids.filter(stale).slice(0, REFRESH_AT_MOST);
    for (const some of slices(asked, PARALLEL)) await Promise.all(some.map((id) => this.#ask(id)));
    return ids.flatMap((id) => this.#lines.get(id) ?? []);
  }

  async #ask(id: string): Promise<void> {
    try {
      const line = await clientObject(this.env, id).summary();
      if (line !== null) this.#take(line);
    } catch (error) {
      logError("summary_failed", error);
    }
  }

  /** Who may witness a failure, or which event about the same target is asking already. */
  witnesses(ask: WitnessAsk): Promise<WitnessChoice> {
    return this.#witnesses.choose(ask, Date.now());
  }

  /** What an event found out, for others about the same target. */
  shareWitness(key: string, shared: SharedEvidence): void {
    this.#witnesses.share(key, shared);
  }

  /** What that event found out, waited for at most so long, milliseconds; null when there is nothing by then. */
  sharedWitness(key: string, eventId: string, wait_ms: number): Promise<SharedEvidence | null> {
    return this.#witnesses.shared(key, eventId, wait_ms);
  }

  /** That event closed: its target was reached. */
  endWitness(key: string, eventId: string): void {
    this.#witnesses.end(key, eventId);
  }

  /** A browser's socket; the Worker has checked the session and says which sites it may see. */
  override async fetch(request: Request): Promise<Response> {
    const sites = JSON.parse(decodeURIComponent(request.headers.get("x-sites") ?? "null")) as string[] | null;
    const pair = new WebSocketPair();
    this.#browsers.accept(pair[1], sites);
    const visible = [...this.#lines.values()].filter((line) => sites === null || sites.includes(line.site));
    this.#browsers.sendTo(pair[1], { type: "snapshot", clients: visible });
    this.ctx.waitUntil(this.#watchAll());
    return new Response(null, { status: 101, webSocket: pair[0] });
  }

  /** Asks every client that is online to stream for a while; their reports renew it. */
  async #watchAll(): Promise<void> {
    const until = Date.now() + LEASE_MS;
    const online = [...this.#lines.values()].filter(isMeasuring);
    for (const some of slices(online, PARALLEL)) await Promise.all(some.map((line) => this.#watch(line.id, until)));
  }

  async #watch(id: string, until: number): Promise<void> {
    try {
      const line = await clientObject(this.env, id).watch(until);
      if (line === null || !this.#take(line)) return;
      this.#browsers.send({ type: "summary", client: line }, line.site);
    } catch (error) {
      logError("watch_failed", error);
    }
  }

  override webSocketMessage(): void {
    // Browsers only listen; their `ping` is answered by the runtime.
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    closeReply(socket, code, reason);
  }
}

const isMeasuring = (line: FleetClient): boolean => line.status === "online" || line.status === "testing";

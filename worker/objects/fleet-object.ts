// The whole fleet in one place: every client's line, and the browsers that look at it. Clients report state changes always
// and measurements only while somebody watches. Lines live in memory; a snapshot is written every few minutes.
import { DurableObject } from "cloudflare:workers";
import type { FleetClient } from "#contract/api";
import { CADENCE } from "#contract/limits";
import { clientObject, type Env } from "../env.ts";
import { Browsers } from "./browsers.ts";

const LEASE_MS = CADENCE.leaseS * 1000;
const SNAPSHOT_EVERY_MS = 3 * 60_000;
/** Lines in one snapshot row; a row holds 2 MB, a line about 1 KB. */
const LINES_PER_ROW = 500;
/** Clients asked at the same time. */
const PARALLEL = 20;

export class FleetObject extends DurableObject<Env> {
  readonly #browsers: Browsers;
  readonly #lines = new Map<string, FleetClient>();
  #dirty = false;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    context.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
    this.#browsers = new Browsers(context);
    for (const [, lines] of context.storage.kv.list<FleetClient[]>({ prefix: "lines:" })) {
      for (const line of lines) this.#lines.set(line.id, line);
    }
  }

  /** A client's line changed. The answer says until when the fleet is watched, 0 when nobody looks. */
  async report(line: FleetClient, changed: boolean): Promise<{ watched_until: number }> {
    this.#lines.set(line.id, line);
    await this.#markDirty();
    const { id, status, status_reason, status_since, last_seen_at } = line;
    if (changed)
      this.#browsers.send(
        { type: "status", client_id: id, status, status_reason, status_since, last_seen_at, client: line },
        line.site,
      );
    else this.#browsers.send({ type: "summary", client: line }, line.site);
    return { watched_until: this.#browsers.count() > 0 ? Date.now() + LEASE_MS : 0 };
  }

  async gone(clientId: string, site: string): Promise<void> {
    this.#lines.delete(clientId);
    await this.#markDirty();
    this.#browsers.send({ type: "gone", client_id: clientId }, site);
  }

  /** Lines of these clients. Those this object lost with an eviction are asked from the clients themselves. */
  async lines(ids: string[]): Promise<FleetClient[]> {
    const unknown = ids.filter((id) => !this.#lines.has(id));
    for (let at = 0; at < unknown.length; at += PARALLEL) {
      await Promise.all(unknown.slice(at, at + PARALLEL).map((id) => this.#ask(id)));
    }
    return ids.flatMap((id) => this.#lines.get(id) ?? []);
  }

  async #ask(id: string): Promise<void> {
    try {
      const line = await clientObject(this.env, id).summary();
      if (line !== null) this.#lines.set(id, line);
    } catch (error) {
      console.error(JSON.stringify({ event: "summary_failed", client: id, error: String(error) }));
    }
  }

  /** A browser's socket; the Worker has checked the session and says which sites it may see. */
  override async fetch(request: Request): Promise<Response> {
    const sites = JSON.parse(request.headers.get("x-sites") ?? "null") as string[] | null;
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
    const online = [...this.#lines.values()].filter((line) => line.status === "online" || line.status === "testing");
    for (let at = 0; at < online.length; at += PARALLEL) {
      await Promise.all(online.slice(at, at + PARALLEL).map((line) => this.#watch(line.id, until)));
    }
  }

  async #watch(id: string, until: number): Promise<void> {
    try {
      const line = await clientObject(this.env, id).watch(until);
      if (line === null) return;
      this.#lines.set(id, line);
      this.#browsers.send({ type: "summary", client: line }, line.site);
    } catch (error) {
      console.error(JSON.stringify({ event: "watch_failed", client: id, error: String(error) }));
    }
  }

  override webSocketMessage(): void {
    // Browsers only listen; their `ping` is answered by the runtime.
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    if (socket.readyState === WebSocket.CLOSED) return;
    socket.close(code === 1005 || code === 1006 || code < 1000 ? 1000 : code, reason);
  }

  async #markDirty(): Promise<void> {
    if (this.#dirty) return;
    this.#dirty = true;
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + SNAPSHOT_EVERY_MS);
  }

  /** Writes the snapshot: one row for every 500 clients. */
  override async alarm(): Promise<void> {
    if (!this.#dirty) return;
    this.#dirty = false;
    const lines = [...this.#lines.values()];
    const rows = Math.ceil(lines.length / LINES_PER_ROW);
    for (let row = 0; row < rows; row++) {
      this.ctx.storage.kv.put(`lines:${row}`, lines.slice(row * LINES_PER_ROW, (row + 1) * LINES_PER_ROW));
    }
    for (const [key] of this.ctx.storage.kv.list({ prefix: "lines:" })) {
      if (Number(key.slice("lines:".length)) >= rows) this.ctx.storage.kv.delete(key);
    }
  }
}

// One client: its sockets, its results, its state. Everything about a client that changes more often than a person edits it
// lives here, so that no upload and no heartbeat touches D1.
import { DurableObject } from "cloudflare:workers";
import type { FleetClient, RejectedItem } from "#contract/api";
import { CADENCE, CLOSE, LIMITS } from "#contract/limits";
import type { HostReading, HostSample, Result, WireResult } from "#contract/result";
import {
  AGENT_FRAMES,
  type EdgeFrame,
  type HeartbeatReply,
  type Hello,
  type Instruction,
  type Job,
  type UploadBody,
} from "#contract/wire";
import { extendSpark } from "../analysis/headline.ts";
import { type Env, fleet } from "../env.ts";
import { problemResponse } from "../problem-error.ts";
import { findClient, toClient, updateClient } from "../store/clients.ts";
import { readSettings } from "../store/config.ts";
import { database } from "../store/database.ts";
import { type Ledger, Ring, type RingState, type Stored } from "../store/ring.ts";
import { instructionFor } from "../store/tests.ts";
import { rfc3339, rfc3339OrNull } from "../time.ts";
import { type AgentAttachment, AgentLink, attachmentOf, close, heardAt, send } from "./agent-link.ts";
import { Browsers } from "./browsers.ts";
import { intake, liveItems } from "./ingest.ts";
import { Lease } from "./lease.ts";
import { ClientReader, type ResultPage, type ResultQuery, type SeriesQuery, type SeriesRow } from "./reader.ts";
import { StatusKeeper } from "./status.ts";
import { type Identity, type StatusRecord, toFleetClient, toReading, toResult } from "./view.ts";

/** An agent's identity as its token proves it. */
export interface Caller {
  epoch: number;
}

export interface RunOrder {
  run_id: string;
  test_id?: string;
  job?: Job;
}

/** What a client's page needs beyond D1's row. */
export interface ClientState {
  status: StatusRecord["status"] | "testing";
  status_reason: string;
  status_since: number;
  last_seen_at: number | null;
  outbox: { depth: number; dropped: number };
  last_seq: number;
  rejected: { count: number; recent: RejectedItem[] };
  clock_offset_ms: number | null;
  latest: Result[];
  host: HostReading | null;
}

export type UploadOutcome = { ack: number } | { need: number } | { refused: "bad_token" | "token_revoked" };

/** How often a watched fleet hears of one client, milliseconds. */
const SUMMARY_EVERY_MS = 2000;
const RUN_LASTS_MS = 120_000;
/** An honest agent holds one; a few more are half-open ones on their way out. */
const MAX_AGENT_SOCKETS = 16;

export class ClientObject extends DurableObject<Env> {
  readonly #ring: Ring;
  readonly #status: StatusKeeper;
  readonly #agents: AgentLink;
  readonly #browsers: Browsers;
  readonly #lease: Lease;
  readonly #reader: ClientReader;
  /** Runs ordered and not answered yet: run id to the time it is given up. */
  readonly #runs = new Map<string, number>();
  readonly #pendingOrders: RunOrder[] = [];
  #identity: Identity | undefined;
  #instruction: Instruction | undefined;
  #closeReason: string | undefined;
  #summarySentAt = 0;
  #streamedTo = 0;
  #retentionMs: number = LIMITS.rawRetentionDays * 86_400_000;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    const now = Date.now();
    context.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
    this.#ring = new Ring(context.storage.sql);
    this.#identity = context.storage.kv.get<Identity>("identity");
    this.#instruction = context.storage.kv.get<Instruction>("instruction");
    this.#status = new StatusKeeper(context.storage, now);
    this.#agents = new AgentLink(context);
    this.#browsers = new Browsers(context);
    this.#lease = new Lease((until) => this.#tellAgent({ type: "live", until }));
    this.#reader = new ClientReader(
      this.#ring,
      () => this.#clientId,
      () => this.#testIds,
    );
    void this.#settleAfterRestart(now).catch((error) => logError("settle", error));
  }

  // Identity: set by the edge after it verified an enrolment token, changed by people.

  /** Makes or renews this client; the token of any earlier epoch ends. */
  async enrol(identity: Identity): Promise<{ last_seq: number }> {
    const renewed = this.#identity !== undefined && this.#identity.epoch !== identity.epoch;
    this.#identity = identity;
    this.ctx.storage.kv.put("identity", identity);
    if (this.#status.record.status === "retired") this.#status.change("never_seen", "registered", null, Date.now());
    if (renewed) this.#closeAgents(CLOSE.superseded, "the client registered again", identity.epoch);
    await this.#report(true);
    return { last_seq: this.#ring.state.last_seq };
  }

  async rename(change: Pick<Identity, "name" | "site" | "tags">): Promise<void> {
    if (this.#identity === undefined) return;
    this.#identity = { ...this.#identity, ...change };
    this.ctx.storage.kv.put("identity", this.#identity);
    await this.#report(true);
  }

  /** Ends the client's token at once; its history stays. */
  async retire(): Promise<void> {
    this.#closeAgents(CLOSE.revoked, "this client was retired");
    this.#status.change("retired", "retired", null, Date.now());
    await this.ctx.storage.deleteAlarm();
    await this.#report(true);
  }

  /** Forgets everything. */
  async erase(): Promise<void> {
    this.#closeAgents(CLOSE.revoked, "this client was deleted");
    this.#browsers.send({ type: "gone", client_id: this.#clientId });
    this.#browsers.closeAll(1000, "deleted");
    await fleet(this.env).gone(this.#clientId, this.#identity?.site ?? "");
    await this.ctx.storage.deleteAll();
    this.ctx.abort("deleted");
  }

  get #clientId(): string {
    return this.#identity?.id ?? "";
  }

  /** Tests of the current instruction; undefined before one is known. */
  get #testIds(): Set<string> | undefined {
    return this.#instruction === undefined ? undefined : new Set(this.#instruction.tests.map((one) => one.test_id));
  }

  #refusal(caller: Caller): "bad_token" | "token_revoked" | undefined {
    if (this.#identity === undefined) return "bad_token";
    return this.#identity.epoch !== caller.epoch || this.#status.record.status === "retired" ? "token_revoked" : undefined;
  }

  // Sockets

  /** `/connect` for the agent (token verified by the Worker, epoch in a header), `/live` for browsers (signed in). */
  override async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const pair = new WebSocketPair();
    if (pathname === "/connect") {
      const epoch = Number(request.headers.get("x-token-epoch"));
      const refused = this.#refusal({ epoch });
      if (refused !== undefined)
        return problemResponse(refused, "This client's token is no longer valid. Register the agent again.");
      if (this.ctx.getWebSockets("agent").length >= MAX_AGENT_SOCKETS) {
        return problemResponse("throttled", "This client has too many open connections. Wait for them to close.", [], {
          "retry-after": "60",
        });
      }
      const now = Date.now();
      this.ctx.acceptWebSocket(pair[1], ["agent"]);
      pair[1].serializeAttachment({
        kind: "agent",
        epoch,
        boot: null,
        connected_at: now,
        heard_at: now,
      } satisfies AgentAttachment);
      return new Response(null, { status: 101, webSocket: pair[0] });
    }
    this.#browsers.accept(pair[1]);
    this.#lease.open(Date.now());
    // Sent after the upgrade was answered: what the page needs to draw without asking again.
    this.ctx.waitUntil(this.#sendSnapshot(pair[1]));
    return new Response(null, { status: 101, webSocket: pair[0] });
  }

  async #sendSnapshot(socket: WebSocket): Promise<void> {
    const row = await findClient(database(this.env.DB), this.#clientId);
    if (row === undefined) return this.#browsers.sendTo(socket, { type: "gone", client_id: this.#clientId });
    const state = this.state();
    const { status_since, last_seen_at, ...rest } = state;
    this.#browsers.sendTo(socket, {
      type: "snapshot",
      client: {
        ...toClient(row, state),
        ...rest,
        status_since: rfc3339(status_since),
        last_seen_at: rfc3339OrNull(last_seen_at),
      },
    });
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const attachment = attachmentOf(socket);
    if (attachment === null) return; // Browsers only listen; their `ping` is answered without waking this object.
    if (typeof message !== "string") return close(socket, CLOSE.protocol, "frames are JSON text");
    if (message.length > LIMITS.uploadBytes || new TextEncoder().encode(message).byteLength > LIMITS.uploadBytes) {
      return close(socket, CLOSE.tooLarge, `a frame holds at most ${LIMITS.uploadBytes} bytes`);
    }
    const refused = this.#refusal(attachment);
    if (refused !== undefined) return close(socket, CLOSE.revoked, "the token was revoked");
    const now = Date.now();
    this.#status.heard(now);
    if (now - attachment.heard_at > 10_000) socket.serializeAttachment({ ...attachment, heard_at: now });
    await this.#onFrame(socket, attachment, message, now);
    await this.#renewLeases(now);
  }

  async #onFrame(socket: WebSocket, attachment: AgentAttachment, message: string, now: number): Promise<void> {
    const frame = readFrame(message);
    if (frame === undefined) return close(socket, CLOSE.protocol, "a frame is a JSON object with a type");
    if (!Object.hasOwn(AGENT_FRAMES, frame.type)) return; // A newer agent may say more than this edge knows.
    const parsed = AGENT_FRAMES[frame.type as keyof typeof AGENT_FRAMES].safeParse(frame);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      return close(socket, CLOSE.protocol, `${frame.type}.${issue?.path.join(".")}: ${issue?.message}`);
    }
    const data = parsed.data;
    if (data.type === "hello") return this.#onHello(socket, data, now);
    if (attachment.boot === null) return close(socket, CLOSE.protocol, "say hello first");
    switch (data.type) {
      case "upload": {
        const outcome = await this.#store(data, now);
        return send(socket, "ack" in outcome ? { type: "ack", to: outcome.ack } : { type: "need", from: outcome.need });
      }
      case "sample":
        return this.#onSample(data, now);
      case "here":
        return this.#agents.here(socket, data.nonce);
      case "progress":
        return this.#browsers.send({ ...data, client_id: this.#clientId });
      case "instruction_ack":
        return this.#browsers.send({ ...data, client_id: this.#clientId });
    }
  }

  async #onHello(socket: WebSocket, hello: Hello, now: number): Promise<void> {
    if (!(await this.#agents.admit(socket, hello, now))) return;
    this.#closeReason = undefined;
    const instruction = await this.#loadInstruction();
    send(socket, { type: "welcome", last_seq: this.#ring.state.last_seq, instruction, server_time: Date.now() });
    this.#ring.noteOutbox(hello.outbox);
    await this.#changeStatus("online", "connected", "socket", now);
    await this.#report(true);
    if (this.#lease.until > now) send(socket, { type: "live", until: this.#lease.until });
    for (const order of this.#pendingOrders.splice(0)) send(socket, { type: "run", ...order });
    await this.ctx.storage.setAlarm(now + CADENCE.silenceCheckS * 1000);
  }

  override async webSocketClose(socket: WebSocket, code: number, reason: string): Promise<void> {
    // The runtime does not answer the close of a hibernating socket by itself; 1005 and 1006 may not be sent.
    close(socket, code === 1005 || code === 1006 || code < 1000 ? 1000 : code, reason);
    // An object that was erased wakes once more for the closes that this caused; it has nothing to keep then.
    if (this.#identity === undefined) return;
    if (attachmentOf(socket)?.boot == null || this.#agents.greeted().some((other) => other !== socket)) return;
    this.#status.heard(Date.now());
    this.#closeReason = code === 1000 && reason === "stopped" ? "stopped" : "closed";
    await this.ctx.storage.setAlarm(Date.now() + CADENCE.closeGraceS * 1000);
  }

  override async webSocketError(socket: WebSocket, error: unknown): Promise<void> {
    console.log(JSON.stringify({ event: "socket_error", client: this.#clientId, error: String(error) }));
    await this.webSocketClose(socket, 1006, "error");
  }

  /** Looks whether the client is still there. */
  override async alarm(): Promise<void> {
    const now = Date.now();
    for (const socket of this.#agents.greeted()) {
      if (now - heardAt(this.ctx, socket) <= CADENCE.silentAfterS * 1000) continue;
      close(socket, 1001, "nothing was heard for too long");
      socket.serializeAttachment({ ...(attachmentOf(socket) as AgentAttachment), boot: null });
    }
    const { status, transport, last_seen_at } = this.#status.record;
    if (status !== "online") return;
    const socket = this.#agents.current();
    if (socket !== undefined) {
      this.#status.heard(heardAt(this.ctx, socket));
      await this.ctx.storage.setAlarm(now + CADENCE.silenceCheckS * 1000);
      return;
    }
    const httpDeadline = (last_seen_at ?? 0) + CADENCE.silentAfterS * 1000;
    if (transport === "http" && httpDeadline > now) {
      await this.ctx.storage.setAlarm(httpDeadline);
      return;
    }
    await this.#changeStatus("offline", this.#closeReason ?? "silent", null, now);
  }

  /** A server that was killed cannot say goodbye to its sockets: clients that do not come back are noticed within a minute. */
  async #settleAfterRestart(now: number): Promise<void> {
    const { status, transport } = this.#status.record;
    if (status !== "online" || transport !== "socket" || this.#agents.current() !== undefined) return;
    const due = await this.ctx.storage.getAlarm();
    if (due === null || due > now + CADENCE.reconnectMaxS * 1000)
      await this.ctx.storage.setAlarm(now + CADENCE.reconnectMaxS * 1000);
  }

  // Uploads

  async upload(caller: Caller, body: UploadBody): Promise<UploadOutcome> {
    const refused = this.#refusal(caller);
    if (refused !== undefined) return { refused };
    const now = Date.now();
    await this.#heardOverHttp(now);
    return this.#store(body, now);
  }

  /** The welcome of an agent without a socket. */
  async heartbeat(
    caller: Caller,
    outbox: { depth: number; dropped: number } | undefined,
  ): Promise<HeartbeatReply | { refused: string }> {
    const refused = this.#refusal(caller);
    if (refused !== undefined) return { refused };
    const now = Date.now();
    await this.#heardOverHttp(now);
    if (outbox !== undefined) this.#ring.noteOutbox(outbox);
    const instruction = await this.#loadInstruction();
    return {
      last_seq: this.#ring.state.last_seq,
      revision: instruction.revision,
      server_time: now,
      live_until: this.#lease.until > now ? this.#lease.until : 0,
      runs: this.#pendingOrders.splice(0),
    };
  }

  async #heardOverHttp(now: number): Promise<void> {
    this.#status.heard(now);
    if (this.#agents.current() !== undefined) return;
    await this.#changeStatus("online", "connected over HTTPS", "http", now);
    // Armed when it is missing only: an alarm costs a row, and each run re-arms itself while heartbeats come.
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(now + CADENCE.silentAfterS * 1000);
  }

  /** Stores what is new in an upload, in one turn and one row, and tells whoever watches. */
  async #store(body: UploadBody, now: number): Promise<{ ack: number } | { need: number }> {
    const before = this.#ring.state;
    const outcome = intake(body, before.last_seq, now);
    if (outcome.kind === "known") return { ack: outcome.ack };
    if (outcome.kind === "gap") return { need: outcome.need };
    const { batch } = outcome;
    const state: RingState = {
      ...before,
      last_seq: batch.to,
      boot: body.boot,
      rejected: before.rejected + batch.rejected.length,
      dropped: before.dropped + batch.dropped.reduce((sum, [from, to]) => sum + to - from + 1, 0),
      outbox: body.outbox ?? before.outbox,
      clock_offset_ms: body.clock?.offset_ms ?? before.clock_offset_ms,
      latest: { ...before.latest },
      sparks: { ...before.sparks },
    };
    const failingBefore = this.#reader.failing();
    for (const result of batch.results) {
      if (result.test_id !== null) state.sparks[result.test_id] = extendSpark(state.sparks[result.test_id] ?? [], result);
      if (result.run_id !== null) this.#runs.delete(result.run_id);
    }
    this.#ring.append(batch, state, this.#retentionMs);
    this.#reader.took(batch);
    this.#lease.freshened();
    for (const result of batch.results) if (result.seq > this.#streamedTo) this.#push({ item: result, received_at: now });
    for (const host of batch.hosts) if (host.seq > this.#streamedTo) this.#pushHost({ item: host, received_at: now });
    this.#streamedTo = Math.max(this.#streamedTo, batch.to);
    const changed = this.#reader.failing() !== failingBefore || before.last_seq === 0;
    // Not awaited: the ack must not wait for another object.
    this.ctx.waitUntil(this.#report(changed).catch((error) => logError("report", error)));
    return { ack: batch.to };
  }

  /** A live copy of an item that the outbox still holds. */
  async #onSample(frame: { result?: unknown; host?: unknown }, now: number): Promise<void> {
    const items = liveItems(frame, now);
    for (const result of items.results) {
      if (result.seq <= this.#streamedTo) continue;
      if (result.run_id !== null) this.#runs.delete(result.run_id);
      this.#push({ item: result, received_at: now });
    }
    for (const host of items.hosts) if (host.seq > this.#streamedTo) this.#pushHost({ item: host, received_at: now });
    this.#reader.took(items);
    for (const { seq } of [...items.results, ...items.hosts]) this.#streamedTo = Math.max(this.#streamedTo, seq);
    await this.#report(false);
  }

  #push(stored: Stored<WireResult>): void {
    this.#browsers.send({
      type: "result",
      client_id: this.#clientId,
      result: toResult(this.#clientId, stored, this.#reader.newest().host ?? undefined),
    });
  }

  #pushHost(stored: Stored<HostSample>): void {
    this.#browsers.send({ type: "result", client_id: this.#clientId, host: toReading(this.#clientId, stored) });
  }

  // Instructions and orders

  /** Tests changed: the agent is told the revision and fetches; it streams for a while, since somebody is looking. */
  async instruct(): Promise<void> {
    const now = Date.now();
    const instruction = await this.#loadInstruction();
    this.#lease.open(now);
    this.#tellAgent({ type: "instruction", revision: instruction.revision });
  }

  /** Orders a run now. An agent without a socket hears of it with its next heartbeat. */
  async run(order: RunOrder): Promise<boolean> {
    const now = Date.now();
    this.#lease.open(now);
    this.#runs.set(order.run_id, now + RUN_LASTS_MS);
    const told = this.#tellAgent({ type: "run", ...order });
    if (!told && this.#pendingOrders.length < 100) this.#pendingOrders.push(order);
    await this.#report(true);
    return told;
  }

  async #loadInstruction(): Promise<Instruction> {
    try {
      const db = database(this.env.DB);
      const row = await findClient(db, this.#clientId);
      const [instruction, settings] = row === undefined ? [] : await Promise.all([instructionFor(db, row), readSettings(db)]);
      if (settings !== undefined) this.#retentionMs = settings.raw_retention_days * 86_400_000;
      if (instruction !== undefined && JSON.stringify(instruction) !== JSON.stringify(this.#instruction)) {
        this.#instruction = instruction;
        this.ctx.storage.kv.put("instruction", instruction);
      }
    } catch (error) {
      // D1 is away: the last known instruction keeps the client measuring.
      logError("instruction", error);
    }
    return this.#instruction ?? { revision: 0, tests: [], upload_s: CADENCE.uploadS };
  }

  #tellAgent(frame: EdgeFrame): boolean {
    const socket = this.#agents.current();
    if (socket !== undefined) send(socket, frame);
    return socket !== undefined;
  }

  #closeAgents(code: number, reason: string, keepEpoch?: number): void {
    for (const socket of this.ctx.getWebSockets("agent")) {
      if (keepEpoch !== undefined && attachmentOf(socket)?.epoch === keepEpoch) continue;
      close(socket, code, reason);
    }
  }

  // Status and summaries

  async #changeStatus(
    status: StatusRecord["status"],
    reason: string,
    transport: StatusRecord["transport"],
    now: number,
  ): Promise<void> {
    if (!this.#status.change(status, reason, transport, now)) return;
    const { record } = this.#status;
    await this.#report(true);
    // D1 keeps the last known status for lists and search; the object stays right when D1 is away.
    await updateClient(database(this.env.DB), this.#clientId, {
      status: record.status,
      status_reason: record.reason,
      status_since: record.since,
      last_seen_at: record.last_seen_at,
    }).catch((error) => logError("status", error));
  }

  /** This client's line in the fleet. */
  summary(): FleetClient | null {
    if (this.#identity === undefined) return null;
    return toFleetClient(this.#identity, this.#status.record, this.#testing(), this.#ring.state, this.#reader.newest());
  }

  #testing(): boolean {
    const now = Date.now();
    for (const [id, until] of this.#runs) if (until < now) this.#runs.delete(id);
    return this.#runs.size > 0;
  }

  /** Tells this client's watchers and the fleet: always when `changed`, else only while somebody watches the fleet, and not too often. */
  async #report(changed: boolean): Promise<void> {
    const line = this.summary();
    const now = Date.now();
    if (line === null) return;
    if (changed) {
      const { status, status_reason, status_since, last_seen_at } = line;
      this.#browsers.send({ type: "status", client_id: line.id, status, status_reason, status_since, last_seen_at });
    } else if (!this.#lease.fleetWatches(now) || now - this.#summarySentAt < SUMMARY_EVERY_MS) return;
    this.#summarySentAt = now;
    const { watched_until } = await fleet(this.env).report(line, changed);
    this.#lease.openForFleet(watched_until, Date.now());
  }

  /** The fleet is being watched: stream until then. */
  watch(until: number): FleetClient | null {
    this.#lease.openForFleet(until, Date.now());
    return this.summary();
  }

  async #renewLeases(now: number): Promise<void> {
    if (this.#browsers.count() > 0) this.#lease.renew(now);
  }

  // Reads

  state(): ClientState {
    const { status, reason, since, last_seen_at } = this.#status.record;
    const state = this.#ring.state;
    const newest = this.#reader.newest();
    const socket = this.#agents.current();
    return {
      status: status === "online" && this.#testing() ? "testing" : status,
      status_reason: reason,
      status_since: since,
      last_seen_at: socket === undefined ? last_seen_at : Math.max(last_seen_at ?? 0, heardAt(this.ctx, socket)),
      outbox: state.outbox,
      last_seq: state.last_seq,
      rejected: { count: state.rejected, recent: this.#ring.rejected(20) },
      clock_offset_ms: state.clock_offset_ms,
      latest: newest.results.map((stored) => toResult(this.#clientId, stored, newest.host ?? undefined)),
      host: newest.host === null ? null : toReading(this.#clientId, newest.host),
    };
  }

  async results(query: ResultQuery): Promise<ResultPage> {
    await this.#freshen();
    return this.#reader.results(query);
  }

  result(seq: number): Result | null {
    return this.#reader.result(seq);
  }

  async series(query: SeriesQuery): Promise<SeriesRow[]> {
    await this.#freshen();
    return this.#reader.series(query);
  }

  ledger(): Ledger {
    return this.#ring.ledger();
  }

  /** A read opens a live lease; the first one waits a moment for the agent to flush, so that no read is minutes old. */
  async #freshen(): Promise<void> {
    const fresh = this.#lease.open(Date.now()) && !this.#lease.refreshing;
    if (!fresh && this.#agents.current() !== undefined) await this.#lease.untilFresh();
  }
}

function readFrame(message: string): { type: string } | undefined {
  try {
    const frame: unknown = JSON.parse(message);
    return typeof frame === "object" && frame !== null && "type" in frame && typeof frame.type === "string"
      ? (frame as { type: string })
      : undefined;
  } catch {
    return undefined; // Not JSON: the caller closes the socket and says so.
  }
}

function logError(event: string, error: unknown): void {
  console.error(JSON.stringify({ event, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }));
}

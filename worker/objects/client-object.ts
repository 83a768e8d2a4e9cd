// One client: its sockets, its results, its state. Everything about a client that changes more often than a person edits it
// lives here, so that no upload and no heartbeat touches D1. This class wires the parts beside it together; it is the one
// place where their order matters, which is why it is longer than most.
import { DurableObject } from "cloudflare:workers";
import type { FleetClient, Ledger } from "#contract/api";
import { UNREADABLE } from "#contract/consent";
import { CLOSE, LIMITS } from "#contract/limits";
import type { Result } from "#contract/result";
import { readSeriesId } from "#contract/series-id";
import {
  AGENT_FRAMES,
  type EdgeFrame,
  type Heartbeat,
  type HeartbeatReply,
  type Hello,
  type OutboxFigures,
  type UploadBody,
} from "#contract/wire";
import { type Env, fleet } from "../env.ts";
import { logError } from "../log.ts";
import { problemResponse } from "../problem-error.ts";
import { findClient, updateClient, updateStatus } from "../store/clients.ts";
import { database } from "../store/database.ts";
import { Ring } from "../store/ring.ts";
import { type AgentAttachment, AgentLink, attachmentOf, close, closeReply, readFrame, send } from "./agent-link.ts";
import { AlarmClock } from "./alarm-clock.ts";
import { Allowance } from "./allowance.ts";
import { Browsers } from "./browsers.ts";
import { advance, intake, liveItems } from "./ingest.ts";
import { Instructions } from "./instructions.ts";
import { Lease } from "./lease.ts";
import { LiveFeed } from "./live-feed.ts";
import { Orders, type RunOrder } from "./orders.ts";
import { Presence } from "./presence.ts";
import { ClientReader, type ResultPage, type ResultQuery, type SeriesPage, type SeriesQuery } from "./reader.ts";
import {
  type ClientState,
  greetingOf,
  type Identity,
  type StatusRecord,
  toClientPage,
  toFleetClient,
  toReading,
  toResult,
} from "./view.ts";
import { Witness } from "./witness.ts";
import type { WitnessOrder, WitnessReply, WitnessStatement } from "./witness-wire.ts";

/** An agent's identity as its token proves it. */
export interface Caller {
  epoch: number;
}

/** What an agent says of itself when it connects or beats over HTTPS. */
type Greeting = Pick<Heartbeat, "version" | "capabilities">;
type Refusal = "bad_token" | "token_revoked";
export type UploadOutcome = { ack: number } | { need: number } | { refused: Refusal };

const IDENTITY = "identity";
/** What an agent without a socket said of its outbox while its disk took nothing; absent otherwise. */
const OUTBOX = "outbox";
/** How often a watched fleet hears of one client, milliseconds. */
const SUMMARY_EVERY_MS = 2000;
/** An honest agent holds one; a few more are half-open ones on their way out. */
const MAX_AGENT_SOCKETS = 16;
/** A frame at most this often makes the socket's own note of when it was heard; heartbeats are noted by the runtime. */
const NOTE_HEARD_EVERY_MS = 10_000;
const REJECTED_SHOWN = 20;
/** Changes of what an agent says of itself and its host: each is a row here and one in D1, and agents look once a minute at most. */
const CHANGES = { at_once: 10, every_ms: 30_000 } as const;

export class ClientObject extends DurableObject<Env> {
  readonly #ring: Ring;
  readonly #agents: AgentLink;
  readonly #presence: Presence;
  readonly #browsers: Browsers;
  readonly #lease: Lease;
  readonly #reader: ClientReader;
  readonly #instructions: Instructions;
  readonly #feed: LiveFeed;
  readonly #orders: Orders;
  readonly #alarm: AlarmClock;
  readonly #witness: Witness;
  readonly #changes = new Allowance(CHANGES.at_once, CHANGES.every_ms);
  #identity: Identity | undefined;
  #summarySentAt = 0;
  #wasTesting = false;
  /** Whether the fleet said, since this object woke, until when it is watched. */
  #fleetAsked = false;

  constructor(context: DurableObjectState, env: Env) {
    super(context, env);
    context.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
    this.#identity = context.storage.kv.get<Identity>(IDENTITY);
    this.#ring = new Ring(context.storage.sql);
    this.#agents = new AgentLink(context);
    const outbox = this.#agents.outbox ?? context.storage.kv.get<OutboxFigures>(OUTBOX);
    if (outbox !== undefined) this.#ring.noteOutbox(outbox);
    this.#browsers = new Browsers(context);
    this.#orders = new Orders(context.storage);
    this.#instructions = new Instructions(context.storage, env);
    this.#alarm = new AlarmClock(context.storage);
    this.#presence = new Presence(context, this.#alarm, this.#agents, (record) => this.#statusChanged(record));
    this.#lease = new Lease((until) => this.#tellAgent({ type: "live", until }));
    this.#reader = new ClientReader(
      this.#ring,
      () => this.#clientId,
      () => this.#instructions.testIds,
    );
    this.#feed = new LiveFeed(
      this.#browsers,
      () => this.#clientId,
      () => this.#reader.newest().host,
    );
    this.#witness = new Witness({
      context,
      env,
      clock: this.#alarm,
      ring: this.#ring,
      identity: () => this.#identity,
      tests: () => this.#instructions.tests,
      newest: (series) => this.#reader.newest().results.find(({ item }) => item.test_id === series),
      order: (order) => this.#tellAgent({ type: "run", ...order }),
      tell: (event) => this.#browsers.send({ type: "event", client_id: this.#clientId, event }),
    });
    this.#presence.settleAfterRestart(Date.now()).catch((error) => logError("settle", error));
  }

  // Identity: set by the edge after it verified an enrolment token, changed by people.

  /** Makes or renews this client; the token of any earlier epoch ends. */
  async enrol(identity: Identity): Promise<{ last_seq: number }> {
    const renewed = this.#identity !== undefined && this.#identity.epoch !== identity.epoch;
    this.#setIdentity(identity);
    this.#presence.revive(Date.now());
    if (renewed) this.#agents.closeAll(CLOSE.superseded, "the client registered again", identity.epoch);
    await this.#report(true);
    return { last_seq: this.#ring.state.last_seq };
  }

  async rename(change: Pick<Identity, "name" | "site" | "tags">): Promise<void> {
    if (this.#identity === undefined) return;
    this.#setIdentity({ ...this.#identity, ...change });
    await this.#report(true);
  }

  /** Ends the client's token at once; its history stays. */
  async retire(): Promise<void> {
    this.#agents.closeAll(CLOSE.revoked, "this client was retired");
    this.#witness.settle(true);
    this.#presence.retire(Date.now());
    await this.#alarm.deleteAlarm();
    await this.#report(true);
  }

  /** Forgets everything. */
  async erase(): Promise<void> {
    this.#agents.closeAll(CLOSE.revoked, "this client was deleted");
    this.#browsers.send({ type: "gone", client_id: this.#clientId });
    this.#browsers.closeAll(1000, "deleted");
    await fleet(this.env).gone(this.#clientId, this.#identity?.site ?? "");
    this.#presence.retire(Date.now());
    await this.#witness.erase();
    this.#identity = undefined;
    await this.#alarm.deleteAlarm();
    await this.ctx.storage.deleteAll();
    this.#ring.open();
    this.#reader.forget();
  }

  #setIdentity(identity: Identity): void {
    this.#identity = identity;
    this.ctx.storage.kv.put(IDENTITY, identity);
  }

  get #clientId(): string {
    return this.#identity?.id ?? "";
  }

  #refusal(caller: Caller): Refusal | undefined {
    if (this.#identity === undefined) return "bad_token";
    return this.#identity.epoch !== caller.epoch || this.#presence.record.status === "retired" ? "token_revoked" : undefined;
  }

  // Sockets

  /** `/connect` for the agent (token verified by the Worker, epoch in a header), `/live` for browsers (signed in). */
  override fetch(request: Request): Response {
    const { 0: theirs, 1: ours } = new WebSocketPair();
    if (new URL(request.url).pathname === "/connect") {
      const refused = this.#acceptAgent(ours, Number(request.headers.get("x-token-epoch")));
      if (refused !== undefined) return refused;
      this.#witness.reachedAt(request.headers.get("x-edge-host"));
    } else {
      this.#browsers.accept(ours);
      this.#lease.open(Date.now());
      // Sent once the upgrade is answered: what the page needs to draw without asking again.
      this.ctx.waitUntil(this.#sendSnapshot(ours).catch((error) => logError("snapshot", error)));
    }
    return new Response(null, { status: 101, webSocket: theirs });
  }

  #acceptAgent(socket: WebSocket, epoch: number): Response | undefined {
    const refused = this.#refusal({ epoch });
    if (refused !== undefined) {
      return problemResponse(refused, "This client's token is no longer valid. Register the agent again.");
    }
    if (this.ctx.getWebSockets("agent").length >= MAX_AGENT_SOCKETS) {
      const headers = { "retry-after": "60" };
      return problemResponse("throttled", "This client has too many open connections. Wait for them to close.", [], headers);
    }
    const now = Date.now();
    this.ctx.acceptWebSocket(socket, ["agent"]);
    socket.serializeAttachment({ kind: "agent", epoch, boot: null, connected_at: now, heard_at: now } satisfies AgentAttachment);
    return undefined;
  }

  async #sendSnapshot(socket: WebSocket): Promise<void> {
    const row = await findClient(database(this.env.DB), this.#clientId);
    if (row === undefined) return this.#browsers.sendTo(socket, { type: "gone", client_id: this.#clientId });
    this.#browsers.sendTo(socket, { type: "snapshot", client: toClientPage(row, this.state()) });
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const attachment = attachmentOf(socket);
    if (attachment === null) return; // Browsers only listen; their `ping` is answered without waking this object.
    if (typeof message !== "string") return close(socket, CLOSE.protocol, "frames are JSON text");
    // A UTF-16 unit is at most three bytes of UTF-8: most frames need no second copy to be measured.
    if (message.length * 3 > LIMITS.uploadBytes && new TextEncoder().encode(message).byteLength > LIMITS.uploadBytes) {
      return close(socket, CLOSE.tooLarge, `a frame holds at most ${LIMITS.uploadBytes} bytes`);
    }
    if (this.#refusal(attachment) !== undefined) return close(socket, CLOSE.revoked, "the token was revoked");
    const now = Date.now();
    this.#presence.heard(now);
    if (now - attachment.heard_at > NOTE_HEARD_EVERY_MS) socket.serializeAttachment({ ...attachment, heard_at: now });
    await this.#onFrame(socket, attachment, message, now);
    if (this.#browsers.count() > 0) this.#lease.renew(now);
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
    const { data } = parsed;
    if (data.type === "hello") return this.#onHello(socket, data, now);
    if (attachment.boot === null) return close(socket, CLOSE.protocol, "say hello first");
    switch (data.type) {
      case "upload": {
        const outcome = this.#store(data, now);
        return send(socket, "ack" in outcome ? { type: "ack", to: outcome.ack } : { type: "need", from: outcome.need });
      }
      case "sample":
        return this.#onSample(data, now);
      case "outbox":
        return this.#noteOutbox(data.outbox);
      case "capabilities":
        return this.#noteGreeting(data);
      case "consent":
        return this.#noteConsent(data.consent);
      case "here":
        return this.#agents.here(socket, data.nonce);
      case "progress": {
        const series = data.test_id === null ? { test_id: null, peer_id: null } : readSeriesId(data.test_id);
        return this.#browsers.send({ ...data, ...series, client_id: this.#clientId });
      }
      case "instruction_ack":
        return this.#browsers.send({ ...data, client_id: this.#clientId });
    }
  }

  async #onHello(socket: WebSocket, hello: Hello, now: number): Promise<void> {
    if (!(await this.#agents.admit(socket, hello, now))) return;
    const instruction = await this.#instructions.load(this.#clientId);
    // It may have hung up meanwhile; its close was told then, and must not be followed by a greeting.
    if (socket.readyState !== WebSocket.OPEN || this.#presence.record.status === "retired") return;
    this.#noteOutbox(hello.outbox);
    send(socket, { type: "welcome", last_seq: this.#ring.state.last_seq, instruction, server_time: Date.now() });
    if (this.#lease.until > now) send(socket, { type: "live", until: this.#lease.until });
    for (const order of this.#orders.takeWaiting()) send(socket, { type: "run", ...order });
    await this.#presence.connected(now);
    await this.#noteGreeting(hello);
    await this.#noteConsent(hello.consent);
    // Even when the status did not change: the answer says whether the fleet is being watched.
    await this.#report(true);
  }

  /** An agent that was upgraded says so in its greeting; D1 hears of it when it changed, with a later greeting where that is often. */
  async #noteGreeting({ version, capabilities = {} }: Greeting): Promise<void> {
    if (version === undefined) return;
    const greeting = greetingOf(version, capabilities);
    if (this.#identity?.greeting === greeting || !this.#changes.take(Date.now())) return;
    const known = Object.keys(capabilities).length > 0 ? { version, capabilities } : { version };
    try {
      await updateClient(database(this.env.DB), this.#clientId, known);
      if (this.#identity !== undefined) this.#setIdentity({ ...this.#identity, greeting });
    } catch (error) {
      logError("greeting", error); // Told again with the next greeting.
    }
  }

  /** What its host's owner allows; D1 hears of it when it changed. A report that cannot be read changes nothing. */
  async #noteConsent(consent: Heartbeat["consent"]): Promise<void> {
    if (consent === undefined) return;
    if (consent === UNREADABLE) return this.#ring.noteIgnored();
    const word = JSON.stringify(consent);
    if (this.#identity?.consent === word || !this.#changes.take(Date.now())) return;
    try {
      await updateClient(database(this.env.DB), this.#clientId, { consent });
      if (this.#identity !== undefined) this.#setIdentity({ ...this.#identity, consent: word });
    } catch (error) {
      logError("consent", error); // Told again with the next greeting.
    }
  }

  /** What the agent said of its outbox. Whoever watches hears at once that a disk takes nothing, or that more was lost. */
  #noteOutbox(outbox: OutboxFigures): void {
    const before = this.#ring.state.outbox;
    this.#ring.noteOutbox(outbox);
    this.#agents.noteOutbox(outbox);
    this.#tellOutbox(before);
  }

  #tellOutbox(before: OutboxFigures): void {
    const { outbox } = this.#ring.state;
    if (before.problem === outbox.problem && before.dropped === outbox.dropped) return;
    // A row when trouble begins and one when it ends: without a socket nothing else outlasts this object's sleep.
    if (before.problem !== outbox.problem) {
      if (outbox.problem === null) this.ctx.storage.kv.delete(OUTBOX);
      else if (this.#agents.current() === undefined) this.ctx.storage.kv.put(OUTBOX, outbox);
    }
    const line = this.summary();
    if (line === null) return;
    const { id: client_id, status, status_reason, status_since, last_seen_at } = line;
    this.#browsers.send({ type: "status", client_id, status, status_reason, status_since, last_seen_at, outbox });
  }

  override async webSocketClose(socket: WebSocket, code: number, reason: string): Promise<void> {
    closeReply(socket, code, reason);
    // An object that was erased wakes once more for the closes that this caused; it has nothing to keep then.
    if (this.#identity === undefined || attachmentOf(socket)?.boot == null) return;
    if (this.#agents.greeted().some((other) => other !== socket)) return;
    await this.#presence.closed(code, reason, Date.now());
  }

  override async webSocketError(socket: WebSocket, error: unknown): Promise<void> {
    console.log(JSON.stringify({ event: "socket_error", client: this.#clientId, error: String(error) }));
    await this.webSocketClose(socket, 1006, "error");
  }

  override async alarm(): Promise<void> {
    if ((await this.#alarm.fired()) === "witness") await this.#witness.check();
    else await this.#presence.check(Date.now());
  }

  // Uploads

  async upload(caller: Caller, body: UploadBody): Promise<UploadOutcome> {
    const refused = this.#refusal(caller);
    if (refused !== undefined) return { refused };
    const now = Date.now();
    await this.#presence.heardOverHttp(now);
    return this.#store(body, now);
  }

  /** The welcome of an agent without a socket. */
  async heartbeat(caller: Caller, beat: Heartbeat): Promise<HeartbeatReply | { refused: Refusal }> {
    const refused = this.#refusal(caller);
    if (refused !== undefined) return { refused };
    const now = Date.now();
    await this.#presence.heartbeatOverHttp(now);
    if (beat.outbox !== undefined) this.#noteOutbox(beat.outbox);
    await this.#noteGreeting(beat);
    await this.#noteConsent(beat.consent);
    if (this.#browsers.count() > 0) this.#lease.renew(now);
    const { revision } = await this.#instructions.load(this.#clientId);
    return {
      last_seq: this.#ring.state.last_seq,
      revision,
      server_time: now,
      live_until: this.#lease.until > now ? this.#lease.until : 0,
      runs: this.#orders.takeWaiting(),
    };
  }

  /** Stores what is new in an upload, in one turn and one row, and tells whoever watches. Never awaits: the turn is the lock. */
  #store(body: UploadBody, now: number): { ack: number } | { need: number } {
    const before = this.#ring.state;
    const outcome = intake(body, before.last_seq, now);
    if (outcome.kind === "known") return { ack: outcome.ack };
    if (outcome.kind === "gap") return { need: outcome.need };
    const { batch } = outcome;
    const failing = this.#reader.failing();
    this.#ring.append(batch, advance(before, batch, body, this.#instructions.testIds), this.#instructions.retentionMs);
    if (body.outbox !== undefined) this.#agents.noteOutbox(body.outbox);
    this.#tellOutbox(before.outbox);
    this.#reader.took(batch);
    this.#feed.stored(batch, now, batch.to);
    this.#witness.took(batch.results, now, body.clock?.now ?? now + (before.clock_offset_ms ?? 0));
    for (const result of batch.results) this.#orders.answered(result);
    this.#lease.freshened();
    // Not awaited: the ack must not wait for another object.
    this.ctx.waitUntil(this.#report(this.#reader.failing() !== failing || before.last_seq === 0));
    return { ack: batch.to };
  }

  /** A live copy of an item that the outbox still holds. */
  async #onSample(frame: { result?: unknown; host?: unknown }, now: number): Promise<void> {
    const items = liveItems(frame, now);
    this.#reader.took(items);
    this.#feed.sampled(items, now, this.#ring.state.last_seq);
    this.#witness.took(items.results, now, null);
    for (const result of items.results) this.#orders.answered(result);
    // Samples come only under a lease: whether it is the fleet's, an eviction forgot and only the fleet knows.
    await this.#report(false, !this.#fleetAsked);
  }

  // Instructions and orders

  /** Tests changed: the agent is told the revision and fetches; it streams for a while, since somebody is looking. */
  async instruct(): Promise<void> {
    const { revision } = await this.#instructions.load(this.#clientId);
    this.#witness.settle();
    this.#lease.open(Date.now());
    this.#tellAgent({ type: "instruction", revision });
  }

  /** Orders a run now; false when the agent has no socket and hears of it with its next heartbeat or connection. */
  async run(order: RunOrder): Promise<boolean> {
    const now = Date.now();
    this.#lease.open(now);
    this.#orders.started(order, this.#instructions.seriesOf(order.test_id), now);
    const told = this.#tellAgent({ type: "run", ...order });
    if (!told) this.#orders.hold(order);
    await this.#report(true);
    return told;
  }

  #tellAgent(frame: EdgeFrame): boolean {
    const socket = this.#agents.current();
    if (socket !== undefined) send(socket, frame);
    return socket !== undefined;
  }

  // Witnesses

  /** Another client's target failed: this one is asked to look at it. */
  testify(order: WitnessOrder): WitnessReply {
    return this.#witness.testify(order);
  }

  /** What another client saw of an event of this one. */
  testimony(eventId: string, from: string, statement: WitnessStatement): void {
    this.#witness.testimony(eventId, from, statement);
  }

  // Status and summaries

  /** D1 keeps the last known status for lists and search; the object stays right when D1 is away. */
  async #statusChanged(record: StatusRecord): Promise<void> {
    await this.#report(true);
    const { status, reason: status_reason, since: status_since, last_seen_at } = record;
    const row = { status, status_reason, status_since, last_seen_at };
    await updateStatus(database(this.env.DB), this.#clientId, row).catch((error) => logError("status", error));
  }

  #testing(): boolean {
    return this.#presence.record.status === "online" && this.#orders.running(Date.now());
  }

  /** This client's line in the fleet. */
  summary(): FleetClient | null {
    if (this.#identity === undefined) return null;
    const status = { ...this.#presence.record, last_seen_at: this.#presence.lastSeenAt };
    return toFleetClient(this.#identity, status, this.#testing(), this.#ring.state, this.#reader.newest());
  }

  /**
   * Tells this client's watchers and the fleet: of a change of state always, of new figures only while somebody watches the
   * fleet, and not too often, unless it has to `ask` whether somebody does. Never throws: whoever reports has something more important to do.
   */
  async #report(changed: boolean, ask = false): Promise<void> {
    const line = this.summary();
    if (line === null) return;
    const now = Date.now();
    const state = changed || this.#testing() !== this.#wasTesting;
    this.#wasTesting = this.#testing();
    if (!state && !ask && (!this.#lease.fleetWatches(now) || now - this.#summarySentAt < SUMMARY_EVERY_MS)) return;
    const { id, status, status_reason, status_since, last_seen_at } = line;
    if (state) this.#browsers.send({ type: "status", client_id: id, status, status_reason, status_since, last_seen_at });
    this.#summarySentAt = now;
    try {
      const { watched_until } = await fleet(this.env).report(line, state);
      this.#fleetAsked = true;
      this.#lease.openForFleet(watched_until, Date.now());
    } catch (error) {
      logError("report", error);
    }
  }

  /** The fleet is being watched: stream until then. */
  watch(until: number): FleetClient | null {
    this.#lease.openForFleet(until, Date.now());
    return this.summary();
  }

  // Reads

  state(): ClientState {
    const { status, reason, since } = this.#presence.record;
    const { outbox, last_seq, rejected, ignored, clock_offset_ms } = this.#ring.state;
    const { results, host } = this.#reader.newest();
    return {
      status: this.#testing() ? "testing" : status,
      status_reason: reason,
      status_since: since,
      last_seen_at: this.#presence.lastSeenAt,
      outbox,
      last_seq,
      rejected: { count: rejected, recent: this.#ring.rejected(REJECTED_SHOWN) },
      ignored,
      clock_offset_ms,
      latest: results.map((stored) => toResult(this.#clientId, stored, host ?? undefined)),
      host: host === null ? null : toReading(this.#clientId, host),
    };
  }

  async results(query: ResultQuery): Promise<ResultPage> {
    await this.#freshen();
    return this.#reader.results(query);
  }

  result(seq: number): Result | null {
    return this.#reader.result(seq);
  }

  async series(query: SeriesQuery): Promise<SeriesPage> {
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

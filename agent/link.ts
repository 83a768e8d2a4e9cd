// The line to the server: registers, connects, reconnects, falls back to HTTPS, and knows when to stop trying.
import { createHash, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConsentReport } from "#contract/consent";
import { CLOSE } from "#contract/limits";
import type { PeersReply, ReflectorBody, ReflectorReply } from "#contract/peers";
import type { Capabilities, HeartbeatReply, Instruction } from "#contract/wire";
import { backoffMs } from "./backoff.ts";
import type { Cadence } from "./cadence.ts";
import type { Config } from "./config.ts";
import { connect } from "./connect.ts";
import { type Answer, EdgeHttp } from "./edge-http.ts";
import type { RunFrame, SessionEnd, SocketSession } from "./edge-socket.ts";
import { FatalError } from "./exit.ts";
import { hostClock } from "./host-clock.ts";
import { httpMode } from "./http-mode.ts";
import type { Identity, StateDir } from "./identity.ts";
import { InstructionReader } from "./instruction-reader.ts";
import type { Log } from "./log.ts";
import type { Kind } from "./outbox-items.ts";
import { OutboxNews } from "./outbox-news.ts";
import type { OutboxStore } from "./outbox-store.ts";
import type { EdgeAccess } from "./probes/probe.ts";
import { register, registrationVerdict } from "./registration.ts";
import { Uploader } from "./uploader.ts";
import { judgeEnd, judgeRefusal, type Verdict } from "./verdict.ts";
import { VERSION } from "./version.ts";

export type RunRequest = Omit<RunFrame, "type">;

/** How far one run is. */
export interface ProgressFrame {
  readonly run_id: string | null;
  readonly test_id: string | null;
  readonly state: "started" | "running" | "finished";
  /** 0 to 1. */
  readonly fraction?: number;
  readonly note?: string;
}

const NOT_REGISTERED = { ok: false, unreachable: "this agent is not registered with its server" } as const;

export interface LinkParts {
  readonly config: Config & { readonly server: string };
  readonly state: StateDir;
  readonly store: OutboxStore;
  readonly cadence: Cadence;
  readonly capabilities: Capabilities;
  readonly log: Log;
  readonly apply: (instruction: Instruction) => void;
  /** Revision in force, or undefined before the first instruction. */
  readonly revision: () => number | undefined;
  readonly run: (request: RunRequest) => void;
  /** What this host's owner allows, as it is told; null without a consent file. */
  readonly consent?: () => ConsentReport | null;
  /** Anything came from the server. */
  readonly heard?: () => void;
  /** Somebody began to watch. */
  readonly watched: () => void;
  /** Milestones; `acked` when the server has stored test results. */
  readonly event: (event: { type: "registered" | "connected"; client_id: string } | { type: "acked"; to: number }) => void;
}

const ENROL_AGAIN = "To let this host measure again, make a new enrolment token in the dashboard and start it with --token";
/** Refused upgrades after which, with HTTPS working, the socket is taken to be blocked. */
const BLOCKED_AFTER = 3;
const SOCKET_AGAIN_MS = 10 * 60 * 1000;
const GOODBYE_MS = 500;
/** A session this long was a good one: the next wait begins small again. */
const GOOD_MS = 10_000;

export class Link {
  readonly #parts: LinkParts;
  readonly #http: EdgeHttp;
  readonly #stop = new AbortController();
  readonly #boot = randomUUID();
  readonly #seenRuns = new Set<string>();
  readonly #news: OutboxNews;
  readonly #reader: InstructionReader;
  readonly uploader: Uploader;
  #identity: Identity;
  #session: SocketSession | undefined;
  #gone: Promise<void> = Promise.resolve();
  #attempt = 0;
  #refusedUpgrades = 0;
  #enrolledAgain = false;
  #capabilities: Capabilities;

  constructor(parts: LinkParts, identity: Identity) {
    this.#parts = parts;
    this.#identity = identity;
    hostClock.awaitEdge();
    this.#http = new EdgeHttp(parts.config.server, VERSION);
    this.#capabilities = parts.capabilities;
    this.#news = new OutboxNews((outbox) => {
      const listens = this.#session?.welcomed === true;
      if (listens) this.#session?.send({ type: "outbox", outbox });
      return listens;
    });
    this.uploader = new Uploader({
      outbox: () => parts.store,
      boot: this.#boot,
      cadence: parts.cadence,
      offset: () => hostClock.offset,
      acked: (to, results) => {
        // A server that stores is a good one: the next wait begins small again.
        this.#attempt = 0;
        if (results > 0) parts.event({ type: "acked", to });
      },
      log: parts.log,
    });
    this.#reader = new InstructionReader({
      http: this.#http,
      token: () => this.#identity.token ?? "",
      held: parts.revision,
      apply: parts.apply,
      acknowledge: (revision) => this.#acknowledge(revision),
      stop: this.#stop.signal,
      log: parts.log,
    });
    parts.store.replaced = () => this.#session?.close(4000, "the outbox was replaced");
    parts.store.changed = () => this.#news.tell(parts.store.figures);
    parts.store.remade = () => this.#restoreState();
  }

  /** Agent clock minus edge clock, ms; null before the first estimate. */
  get offset(): number | null {
    return hostClock.offset;
  }

  /** Keeps the line up until stopped. Throws FatalError when only a person can help. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      const verdict = this.#mustRegister ? await this.#register() : await this.#once();
      if (this.#stopped) return;
      if (verdict === undefined) continue;
      if (verdict.next !== "retry") {
        this.#forgetClient(verdict.next, verdict.why);
        continue;
      }
      const wait = Math.max(verdict.wait ?? 0, backoffMs(this.#attempt, verdict.spread === true));
      this.#attempt += 1;
      this.#parts.log.debug({ wait_ms: wait }, "waiting before the next try");
      await this.#sleep(wait);
    }
  }

  /** Tries to send what waits for at most `ms`, then says goodbye. */
  async stop(ms: number): Promise<void> {
    await Promise.race([this.uploader.flush(), sleep(ms, undefined, { ref: false })]);
    this.#stop.abort();
    this.#session?.close(1000, "stopped");
    // The goodbye has to leave before the process does, or the server takes it for a broken line.
    await Promise.race([this.#gone, sleep(GOODBYE_MS, undefined, { ref: false })]);
  }

  /** Streams a copy of an item to whoever watches. */
  sample(kind: Kind, item: Record<string, unknown>): void {
    if (this.#parts.cadence.live && this.#session?.welcomed) this.#session.send({ type: "sample", [kind]: item });
  }

  /** Tells whoever watches how far a run is; lost where there is no socket. */
  progress(frame: ProgressFrame): void {
    if (this.#session?.welcomed) this.#session.send({ type: "progress", fraction: null, note: null, ...frame });
  }

  /** Says where this client answers others. */
  async registerReflector(body: ReflectorBody): Promise<Answer<ReflectorReply>> {
    const { token } = this.#identity;
    return token === null ? NOT_REGISTERED : this.#http.reflector(token, body);
  }

  /** Asks where other clients are. */
  async askPeers(ids: readonly string[]): Promise<Answer<PeersReply>> {
    const { token } = this.#identity;
    return token === null ? NOT_REGISTERED : this.#http.peers(token, ids);
  }

  /** This agent's server, for what is measured against it; undefined while it is nobody there. */
  get edge(): EdgeAccess | undefined {
    const { token } = this.#identity;
    return token === null ? undefined : { server: this.#parts.config.server, token };
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #sleep(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stop.signal }).catch((error: unknown) => {
      if (!this.#stopped) throw error;
    });
  }

  /**
   * Registered nowhere, or at another address. The same server may just have a new name: then the old token proves who this
   * is, or, without an enrolment token, is simply tried there.
   */
  get #mustRegister(): boolean {
    const { client_id, server } = this.#identity;
    const { config } = this.#parts;
    return client_id === null || (server !== config.server && config.token !== undefined);
  }

  /** The consent file changed: told at once over a socket, else with the next greeting. */
  tellConsent(): void {
    if (this.#session?.welcomed) this.#session.send({ type: "consent", consent: this.#parts.consent?.() });
  }

  /** Looked up again: what this host can do is told where it is news. */
  capable(found: Capabilities): void {
    if (JSON.stringify(found) === JSON.stringify(this.#capabilities)) return;
    this.#capabilities = found;
    if (this.#session?.welcomed) this.#session.send({ type: "capabilities", version: VERSION, capabilities: found });
  }

  #save(identity: Identity): void {
    this.#identity = identity;
    try {
      this.#parts.state.saveIdentity(identity);
    } catch (error) {
      this.#unsaved(error);
    }
  }

  /** Writes identity and instruction where they are missing or older. */
  #restoreState(): void {
    try {
      this.#parts.state.restore();
    } catch (error) {
      this.#unsaved(error);
    }
  }

  #unsaved(error: unknown): void {
    const why = (error as Error).message;
    this.#parts.log.error({ why }, "the identity could not be saved; a restart before it is would register another client");
  }

  async #register(): Promise<Verdict | undefined> {
    const { config, log, store, state } = this.#parts;
    const enrolled_with = createHash("sha256")
      .update(config.token ?? "")
      .digest("hex");
    if (this.#identity.client_id === null && this.#identity.enrolled_with === enrolled_with) {
      throw new FatalError(`this agent's client was retired or deleted. ${ENROL_AGAIN}`);
    }
    try {
      state.saveIdentity(this.#identity);
    } catch (error) {
      const why = (error as Error).message;
      log.error(
        { why, state: state.path },
        "not registering, since the identity could not be kept: make room for it; trying again",
      );
      return { next: "retry" };
    }
    const sent = Date.now();
    const answer = await register(this.#http, config, this.#identity, {
      capabilities: this.#capabilities,
      consent: this.#parts.consent?.(),
    });
    if (!answer.ok) return this.#registrationFailed(answer);
    const { client_id, token, last_seq, instruction, server_time } = answer.value;
    hostClock.learn(server_time, sent, Date.now());
    // Another client's numbers mean nothing here: a new client counts from 1.
    if (client_id !== this.#identity.client_id) store.restart();
    store.reconcile(last_seq);
    this.#save({ ...this.#identity, client_id, token, server: config.server, enrolled_with });
    this.#attempt = 0;
    log.info({ client_id, server: config.server }, "registered");
    this.#parts.event({ type: "registered", client_id });
    this.#parts.apply(instruction);
    return undefined;
  }

  #registrationFailed(answer: Exclude<Answer<unknown>, { ok: true }>): Verdict {
    const { config, log } = this.#parts;
    if ("unreachable" in answer) {
      log.warn({ server: config.server, why: answer.unreachable }, "the server cannot be reached; trying again");
      return { next: "retry" };
    }
    const fatal = registrationVerdict(answer.refused);
    if (fatal !== undefined) throw new FatalError(fatal);
    log.warn({ status: answer.refused.status, detail: answer.refused.detail }, "no registration now; trying again");
    return { next: "retry", spread: true, wait: answer.refused.retryAfter };
  }

  /** One connection, from its start to its end. */
  async #once(): Promise<Verdict> {
    if (this.#refusedUpgrades >= BLOCKED_AFTER) {
      const verdict = await this.#overHttps();
      if (verdict !== undefined || this.#stopped) return verdict ?? { next: "retry" };
    }
    const { ended, session, gone } = connect(this.#http.socketUrl, this.#identity.token ?? "", this.#events(), this.#parts.log);
    this.#session = session;
    this.#gone = gone;
    const end = await ended;
    this.#session = undefined;
    this.uploader.detach(session);
    return this.#stopped ? { next: "retry" } : this.#judge(end);
  }

  async #judge(end: SessionEnd): Promise<Verdict> {
    if (end.welcomed) {
      this.#parts.log.info({ code: end.code, reason: end.reason }, "disconnected");
      this.#refusedUpgrades = 0;
      if (end.lasted >= GOOD_MS) this.#attempt = 0;
    }
    if (end.code === CLOSE.tooLarge) this.uploader.shrink();
    // Two sides that misunderstand each other will do so again: no hurry.
    if (end.code === CLOSE.protocol) this.#attempt = Math.max(this.#attempt, 5);
    return judgeEnd(end) ?? this.#askWhy();
  }

  /** A refused upgrade tells a client nothing; a plain request does. */
  async #askWhy(): Promise<Verdict> {
    const answer = await this.#http.instruction(this.#identity.token ?? "", this.#parts.revision());
    if (answer.ok) {
      this.#refusedUpgrades += 1;
      if (answer.value !== undefined) this.#parts.apply(answer.value);
      if (this.#refusedUpgrades === BLOCKED_AFTER) this.#parts.log.warn("no WebSocket comes through; going on over HTTPS");
      return { next: "retry" };
    }
    if ("unreachable" in answer) {
      this.#parts.log.warn({ why: answer.unreachable }, "the server cannot be reached; measuring on and trying again");
      return { next: "retry" };
    }
    const { status, detail } = answer.refused;
    this.#parts.log.warn({ status, detail }, "the server refused the connection");
    return judgeRefusal(answer.refused);
  }

  /**
   * Becomes nobody, to register anew where that is allowed: never with the enrolment token of a client that people ended.
   */
  #forgetClient(kind: "revoked" | "superseded" | "unknown", why: string): void {
    const { config, log } = this.#parts;
    const install_id = kind === "superseded" ? randomUUID() : this.#identity.install_id;
    const enrolled_with = kind === "revoked" ? this.#identity.enrolled_with : null;
    if (config.token === undefined) throw new FatalError(`${why}. ${ENROL_AGAIN}`);
    if (kind === "unknown" && this.#enrolledAgain) {
      throw new FatalError(`${why}, again after registering anew. Ask whoever runs the server, then start it again`);
    }
    this.#enrolledAgain ||= kind === "unknown";
    log.warn({ why }, "this agent's client has ended");
    this.#save({ install_id, server: null, client_id: null, token: null, enrolled_with });
  }

  #events() {
    return {
      heard: () => this.#parts.heard?.(),
      hello: () => this.#greeting(),
      welcome: (frame: { last_seq: number; instruction: Instruction; server_time: number }, sent: number, received: number) => {
        hostClock.learn(frame.server_time, sent, received);
        this.#greeted(frame.last_seq);
        this.#parts.apply(frame.instruction);
        this.#acknowledge(frame.instruction.revision);
        if (this.#session !== undefined) this.uploader.attach(this.#session);
      },
      instruction: (revision: number) => this.#reader.refresh(revision),
      live: (until: number) => this.#live(until),
      run: (frame: RunFrame) => this.#order(frame),
    };
  }

  /** The server knows this agent and the last number it holds. */
  #greeted(lastSeq: number): void {
    this.#parts.store.reconcile(lastSeq);
    this.#restoreState();
    this.#parts.log.info({ client_id: this.#identity.client_id }, "connected");
    this.#parts.event({ type: "connected", client_id: this.#identity.client_id ?? "" });
  }

  #greeting(): Record<string, unknown> {
    return {
      version: VERSION,
      boot: this.#boot,
      outbox: this.#parts.store.figures,
      capabilities: this.#capabilities,
      consent: this.#parts.consent?.(),
      clock: { now: Date.now(), offset_ms: hostClock.offset },
    };
  }

  #acknowledge(revision: number): void {
    if (this.#session?.welcomed) this.#session.send({ type: "instruction_ack", revision });
  }

  #live(until: number): void {
    const news = this.#parts.cadence.watch(until - hostClock.edgeNow());
    if (!news) return;
    this.#parts.watched();
    this.uploader.soon();
  }

  /** An order may come twice, over the socket and in a heartbeat. */
  #order(frame: RunRequest): void {
    if (this.#seenRuns.has(frame.run_id)) return;
    this.#seenRuns.add(frame.run_id);
    if (this.#seenRuns.size > 500) this.#seenRuns.delete(this.#seenRuns.values().next().value ?? "");
    this.#parts.run(frame);
  }

  /** Heartbeats and uploads over HTTPS, until it is time to try the socket again. */
  async #overHttps(): Promise<Verdict | undefined> {
    const { cadence } = this.#parts;
    const heard = (reply: HeartbeatReply, sent: number, first: boolean) => {
      this.#parts.heard?.();
      hostClock.learn(reply.server_time, sent, Date.now());
      if (first) this.#greeted(reply.last_seq);
      if (reply.revision !== this.#parts.revision()) this.#reader.refresh(reply.revision);
      if (reply.live_until > 0) this.#live(reply.live_until);
      for (const run of reply.runs) this.#order(run);
    };
    const refused = await httpMode(
      {
        http: this.#http,
        token: this.#identity.token ?? "",
        uploader: this.uploader,
        cadence,
        greeting: () => this.#greeting(),
        heard,
        sleep: (ms) => this.#sleep(ms),
        stopped: () => this.#stopped,
      },
      SOCKET_AGAIN_MS,
    );
    return refused === undefined ? undefined : judgeRefusal(refused);
  }
}

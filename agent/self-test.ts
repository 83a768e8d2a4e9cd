// Whether this host reaches anything at all: gateway, resolvers and server, beside everything that shows it by the way. What
// fails while it reaches nothing says nothing of its target.
import { performance } from "node:perf_hooks";
import type { SelfTest as Reading } from "#contract/host-detail";
import type { Measurement } from "#contract/result";
import type { Log } from "./log.ts";
import { MetricSheet } from "./probes/probe.ts";
import { type Asked, type Look, Looker, type Purpose } from "./self-test-look.ts";
import { CutOffSpans } from "./self-test-spans.ts";
import { cutOffResult, isSuspect, isTelling } from "./self-test-verdict.ts";
import { round3 } from "./statistics.ts";

/** While cut off, between the end of a look and the next: at first, and once it has lasted a minute. */
const AGAIN_MS = 1500;
const AGAIN_LATER_MS = 4000;
const LATER_AFTER_MS = 60_000;
/** A run as long as this is looked after while it runs: its line may be back before it ends. */
const RUN_LOOK_MS = 4000;
/** A look serves a sample taken so shortly after it. */
const SAME_MOMENT_MS = 3000;

export interface SelfTestParts {
  readonly server: string;
  /** Whether this host's owner lets the agent ask now; without it nothing is ever judged. */
  readonly allowed: boolean;
  readonly log: Pick<Log, "warn">;
  /** The state changed: time for a sample. */
  readonly changed: () => void;
  /** Epoch milliseconds, as results are stamped. */
  readonly now: () => number;
}

export interface SelfTestSample {
  readonly sheet: MetricSheet;
  readonly detail: { readonly self_test?: Reading };
  readonly flags: readonly string[];
  /** Whether it was cut off when the sample was taken. */
  readonly cutOff: boolean;
}

export class SelfTest {
  readonly #parts: SelfTestParts;
  readonly #looker: Looker;
  readonly #spans = new CutOffSpans();
  readonly #stop = new AbortController();
  /** Last moment at which something came back from beyond this host. */
  #reachedAt = performance.now();
  /** When the earliest run began that found nothing since. */
  #suspectSince: number | undefined;
  #finding: Promise<void> | undefined;
  #last: { look: Look; purpose: Purpose; ended: number } | undefined;
  #sampledAt = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: SelfTestParts) {
    this.#parts = parts;
    this.#looker = new Looker(parts.server);
  }

  /** Something came from the server. */
  heard(): void {
    this.#reached(performance.now());
  }

  /** Whether this host reaches nothing, as far as it knows. */
  get cutOff(): boolean {
    return this.#spans.open !== undefined;
  }

  /** A run, and its result as it may be recorded. */
  async judge(run: () => Promise<Measurement>): Promise<Measurement> {
    const ended = this.#during();
    return this.#judged(await run().finally(ended));
  }

  /** Looks after a run that takes long; answers how to tell that it ended. */
  #during(): () => void {
    const timer = setInterval(() => {
      if (this.#parts.allowed && performance.now() - this.#reachedAt >= RUN_LOOK_MS / 2) void this.#find();
    }, RUN_LOOK_MS);
    return () => clearInterval(timer);
  }

  /** Holds what failed for at most 2.5 s, until it is known whether this host reaches anything. */
  async #judged(result: Measurement): Promise<Measurement> {
    const to = performance.now();
    const from = to - result.duration_ms;
    if (!isSuspect(result)) {
      if (isTelling(result) && result.address !== null && this.#looker.own.isBeyond(result.address)) this.#reached(to);
      return result;
    }
    if (!this.#parts.allowed || this.#stop.signal.aborted) return result;
    // One that lost a part was still answered while it ran.
    this.#suspectSince = Math.min(this.#suspectSince ?? to, result.status === "failed" ? from : to);
    if (this.#spans.touching(from, to) === undefined && this.#reachedAt < to) await this.#find();
    const span = this.#spans.touching(from, to);
    return span === undefined ? result : cutOffResult(result, this.#why(span.since));
  }

  /** Its part of a host sample; also says what time since the last one was cut off. */
  async sample(): Promise<SelfTestSample> {
    const sheet = new MetricSheet();
    if (!this.#parts.allowed) {
      for (const name of OWN_METRICS) sheet.set(name, null, "not_applicable");
      return { sheet, detail: {}, flags: [], cutOff: this.cutOff };
    }
    const look = this.#lastWhole() ?? (await this.#look(this.#spans.open === undefined ? "sample" : "again"));
    this.#last = undefined;
    const to = performance.now();
    const cut = round3(this.#spans.within(this.#sampledAt, to) / 1000);
    this.#sampledAt = to;
    sheet.set("agent_cut_off_s", cut, "unsupported");
    sheet.set("self_gateway_rtt_ms", look.gateway.ms, reasonOf(look.gateway));
    sheet.set("self_resolver_ms", look.resolver.ms, reasonOf(look.resolver));
    sheet.set("self_edge_ms", look.edge.ms, reasonOf(look.edge));
    return { sheet, detail: { self_test: this.#reading(look) }, flags: cut > 0 ? ["cut_off"] : [], cutOff: this.cutOff };
  }

  stop(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }

  /** A look of a moment ago that asked everybody to the end and that no sample has told yet. */
  #lastWhole(): Look | undefined {
    const { look, purpose, ended } = this.#last ?? {};
    if (look === undefined || ended === undefined || performance.now() - ended > SAME_MOMENT_MS) return undefined;
    if (look.reached === this.cutOff) return undefined;
    return purpose !== "judge" || !look.reached ? look : undefined;
  }

  #reading({ at, gateway, resolver, edge }: Look): Reading {
    const { open } = this.#spans;
    const since = open === undefined ? null : this.#epoch(open.since);
    return {
      at: this.#epoch(at),
      gateway: told(gateway),
      resolver: told(resolver),
      edge: told(edge),
      cut_off: open !== undefined,
      since,
    };
  }

  #epoch(moment: number): number {
    return Math.round(this.#parts.now() - (performance.now() - moment));
  }

  /** Finds out whether anything is reached; runs that end meanwhile wait for the same answer, which is newer than they are. */
  #find(): Promise<void> {
    if (this.#spans.open !== undefined) return Promise.resolve();
    this.#finding ??= this.#look("judge")
      .then(() => undefined)
      .finally(() => {
        this.#finding = undefined;
      });
    return this.#finding;
  }

  async #look(purpose: Purpose): Promise<Look> {
    const look = await this.#looker.look(purpose, this.#stop.signal);
    this.#last = { look, purpose, ended: performance.now() };
    if (this.#stop.signal.aborted) return look;
    if (look.reached) this.#reached(performance.now());
    // What came by another way after the first packets left disproves the silence.
    else if (look.asked && this.#reachedAt < look.at) this.#cut(look);
    return look;
  }

  #cut(look: Look): void {
    if (this.#spans.open !== undefined) return;
    this.#spans.begin(Math.max(this.#reachedAt, Math.min(look.at, this.#suspectSince ?? look.at)));
    this.#suspectSince = undefined;
    this.#again();
    const { gateway, resolver, edge } = this.#reading(look);
    this.#parts.log.warn({ gateway, resolver, edge }, "cut off: neither gateway nor resolver nor server answers");
    this.#parts.changed();
  }

  #again(): void {
    const { open } = this.#spans;
    clearTimeout(this.#timer);
    if (open === undefined || this.#stop.signal.aborted) return;
    // What may not be asked any more is not known any more.
    if (!this.#parts.allowed) return void this.#spans.end(performance.now());
    const pause = performance.now() - open.since > LATER_AFTER_MS ? AGAIN_LATER_MS : AGAIN_MS;
    this.#timer = setTimeout(() => {
      void this.#look("again").then(() => this.#again());
    }, pause);
  }

  #reached(at: number): void {
    this.#reachedAt = Math.max(this.#reachedAt, at);
    this.#suspectSince = undefined;
    const over = this.#spans.end(at);
    if (over === undefined) return;
    clearTimeout(this.#timer);
    const for_s = round3((at - over.since) / 1000);
    const since = new Date(this.#epoch(over.since)).toISOString();
    this.#parts.log.warn({ since, for_s }, "no longer cut off: something answers again");
    this.#parts.changed();
  }

  #why(since: number): string {
    const moment = new Date(this.#epoch(since)).toISOString();
    return `this host reached neither its gateway, nor a resolver, nor its server since ${moment}; check its own line and address`;
  }
}

const OWN_METRICS = ["agent_cut_off_s", "self_gateway_rtt_ms", "self_resolver_ms", "self_edge_ms"] as const;

/** Why there is no time: nobody to ask, no answer, or one that only the kernel timed. */
const reasonOf = ({ reason }: Asked) => reason ?? "unsupported";

const told = ({ reason: _, ...reach }: Asked) => reach;

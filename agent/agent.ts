// The running agent: tests and host samples go into the outbox first, then over the line.
import { setTimeout as sleep } from "node:timers/promises";
import { peerDestination } from "#contract/destination";
import type { HostDetail } from "#contract/host-detail";
import type { MetricName, MetricValue } from "#contract/metrics";
import { isUnmeasured, type Measurement } from "#contract/result";
import type { InstructedTest, Instruction } from "#contract/wire";
import { Abilities } from "./abilities.ts";
import { Cadence } from "./cadence.ts";
import { capabilities, hasFamily } from "./capabilities.ts";
import { conditions } from "./conditions.ts";
import type { Config } from "./config.ts";
import type { ConsentKeeper } from "./consent-keeper.ts";
import { killAllTools, runningTools } from "./exec.ts";
import { childMicros } from "./host/children.ts";
import { HostSampler } from "./host/index.ts";
import { inventory } from "./host/inventory.ts";
import { hostClock } from "./host-clock.ts";
import type { StateDir } from "./identity.ts";
import { Link, type LinkParts, type RunRequest } from "./link.ts";
import type { Log } from "./log.ts";
import type { Kind } from "./outbox-items.ts";
import { OutboxStore } from "./outbox-store.ts";
import { interfaceAddresses } from "./own-addresses.ts";
import { PeerBook } from "./peer-book.ts";
import { MetricSheet } from "./probes/probe.ts";
import { RunProgress, type ToldRun } from "./progress.ts";
import { ReflectorService } from "./reflector-service.ts";
import { type RunOrder, runTest, type Veto } from "./runner.ts";
import { Scheduler } from "./scheduler.ts";
import { SelfMonitor } from "./self.ts";
import { SelfTest } from "./self-test.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** Between the first look at the host and the first sample: rates need two looks. */
const FIRST_SAMPLE_MS = 1000;
const LAST_FLUSH_MS = 2000;
const NOT_CONNECTED = { ok: false, unreachable: "this agent has not reached its server yet" } as const;

export interface AgentParts {
  readonly config: Config & { readonly server: string };
  readonly state: StateDir;
  readonly log: Log;
  /** What this host's owner allows; undefined without a consent file. */
  readonly consent?: ConsentKeeper | undefined;
  readonly event: LinkParts["event"];
}

export class Agent {
  readonly #parts: AgentParts;
  readonly #store: OutboxStore;
  readonly #cadence = new Cadence();
  readonly #host = new HostSampler();
  readonly #self = new SelfMonitor(childMicros);
  readonly #selfTest: SelfTest;
  readonly #scheduler: Scheduler;
  readonly #abilities: Abilities;
  readonly #peers: PeerBook;
  readonly #reflector: ReflectorService;
  readonly #stop = new AbortController();
  /** Whether each test's newest result failed. */
  readonly #failing = new Map<string, boolean>();
  #instruction: Instruction | undefined;
  #link: Link | undefined;
  #hostTimer: NodeJS.Timeout | undefined;
  #sampling = false;
  /** What the newest host sample says of it. */
  #toldCutOff: boolean | undefined;
  #inventory: Record<string, unknown> = {};
  #toldFactsAt = Number.NEGATIVE_INFINITY;

  constructor(parts: AgentParts) {
    this.#parts = parts;
    this.#store = new OutboxStore(parts.state.file("outbox.db"), parts.log);
    this.#selfTest = new SelfTest({
      server: parts.config.server,
      get allowed() {
        return parts.config.self_test && parts.consent?.selfTest !== false;
      },
      log: parts.log,
      changed: () => this.#sampleHost(),
      now: () => hostClock.now(),
    });
    this.#scheduler = new Scheduler(
      (test, problem) => this.#runScheduled(test, problem),
      undefined,
      () => parts.consent?.leastGapS ?? 0,
    );
    this.#abilities = new Abilities({
      look: () => capabilities({ reflector: parts.config.reflector.allowed && parts.consent?.reflector !== false }),
      found: (found) => this.#link?.capable(found),
      log: parts.log,
    });
    this.#peers = new PeerBook({
      ask: async (ids) => (await this.#link?.askPeers(ids)) ?? NOT_CONNECTED,
      own: interfaceAddresses,
      has: (version) => hasFamily(version === 4 ? "IPv4" : "IPv6"),
    });
    this.#reflector = new ReflectorService({
      settings: parts.config.reflector,
      permitted: () => parts.consent?.reflector !== false,
      server: parts.config.server,
      register: async (body) => (await this.#link?.registerReflector(body)) ?? NOT_CONNECTED,
      log: parts.log,
    });
    if (parts.consent !== undefined) parts.consent.changed = () => this.#consentChanged();
  }

  /** Measures and reports until stop(). Throws FatalError when only a person can help. */
  async run(): Promise<void> {
    const { config, state, log, event } = this.#parts;
    const identity = state.loadIdentity();
    const saved = state.loadInstruction();
    if (saved !== undefined && identity.client_id !== null) this.#apply(saved);
    await this.#host.sample();
    this.#hostTimer = setTimeout(() => this.#sampleHost(), FIRST_SAMPLE_MS);
    const found = await this.#abilities.first();
    if (found.ping === null) log.warn("ping does not work on this host; run `doctor` to see why");
    if (this.#stop.signal.aborted) return;
    this.#link = new Link(
      {
        config,
        state,
        store: this.#store,
        cadence: this.#cadence,
        capabilities: found,
        log,
        apply: (instruction) => this.#apply(instruction),
        revision: () => this.#instruction?.revision,
        run: (request) => this.#runOrdered(request),
        consent: () => this.#parts.consent?.report ?? null,
        heard: () => this.#selfTest.heard(),
        watched: () => this.#sampleHost(),
        event: (what) => {
          this.#onLine(what.type);
          event(what);
        },
      },
      identity,
    );
    await this.#link.run();
  }

  /** Ends every run, sends what can be sent in two seconds, says goodbye. */
  async stop(): Promise<void> {
    this.#scheduler.stop();
    this.#selfTest.stop();
    clearTimeout(this.#hostTimer);
    this.#stop.abort();
    await Promise.all([this.#link?.stop(LAST_FLUSH_MS), this.#reflector.stop()]);
    // Runs were asked to end when the stop began; none may outlive the agent.
    for (let waited = 0; runningTools() > 0 && waited < 1000; waited += 50) await sleep(50);
    killAllTools();
    this.#self.stop();
    this.#store.close();
    this.#parts.consent?.close();
  }

  #onLine(what: "registered" | "connected" | "acked"): void {
    if (what === "connected") void this.#reflector.connected();
    if (what !== "registered") return;
    this.#peers.forget();
    void this.#reflector.renamed();
  }

  #consentChanged(): void {
    this.#link?.tellConsent();
    if (this.#instruction !== undefined) void this.#reflector.follow(this.#instruction);
  }

  #apply(instruction: Instruction): void {
    const known = this.#instruction;
    // Registration and greeting bring the same one within a moment.
    if (JSON.stringify(known) === JSON.stringify(instruction)) return;
    this.#instruction = instruction;
    this.#cadence.uploadS = instruction.upload_s;
    this.#peers.follow(instruction.tests);
    void this.#reflector.follow(instruction);
    this.#scheduler.apply(instruction.tests);
    if (known !== undefined && known.upload_s !== instruction.upload_s) this.#link?.uploader.retime();
    const ids = new Set(instruction.tests.map((test) => test.test_id));
    for (const id of this.#failing.keys()) if (!ids.has(id)) this.#failing.delete(id);
    try {
      this.#parts.state.saveInstruction(instruction);
    } catch (error) {
      this.#parts.log.warn(
        { error: String(error) },
        "the instruction could not be saved; a restart without the server would measure nothing",
      );
    }
    this.#parts.log.info({ revision: instruction.revision, tests: instruction.tests.length }, "instructed");
  }

  async #runScheduled(test: InstructedTest, problem: string | undefined): Promise<void> {
    // A schedule that cannot be followed is told by a result that measured nothing.
    const veto = problem === undefined ? this.#parts.consent?.veto : () => problem;
    const order = {
      type: test.type,
      destination: test.destination,
      params: test.params,
      interval_s: test.interval_s,
      series: test.test_id,
    };
    const measured = await this.#measure(order, { run_id: null, test_id: test.test_id }, veto);
    const result: Measurement =
      problem === undefined
        ? measured
        : { ...measured, status: "failed", error: { code: "invalid_instruction", source: "agent", message: problem } };
    if (this.#aborted(result)) return;
    this.#record(result, test.test_id, null);
    // One that was not measured here leaves its test as it was.
    if (isUnmeasured(result)) return;
    const failing = result.status === "failed";
    const change = this.#failing.get(test.test_id) !== failing;
    this.#failing.set(test.test_id, failing);
    if (change) this.#link?.uploader.soon();
  }

  /** Runs a test with everything this agent has for it; whoever watches hears how far it is. */
  async #measure(order: RunOrder, run: ToldRun, veto: Veto | undefined, progress = this.#progressOf(run)): Promise<Measurement> {
    const around = {
      veto,
      peers: this.#peers,
      edge: this.#link?.edge,
      progress: (fraction: number, note: string) => progress.running(fraction, note),
    };
    const measured = await this.#selfTest.judge(() => runTest(order, this.#stop.signal, around));
    const named = peerDestination(order.destination);
    if (named?.kind === "client") this.#peers.report(named.client_id, measured);
    progress.finished();
    return measured;
  }

  #progressOf(run: ToldRun): RunProgress {
    const watched = () => run.run_id !== null || this.#cadence.live;
    return new RunProgress(run, (frame) => this.#link?.progress(frame), watched);
  }

  /** An order from the server: measured at once, answered at once; a test that names clients once for each of them. */
  #runOrdered({ run_id, test_id, job }: RunRequest): void {
    const tests = test_id === undefined ? [] : this.#scheduler.find(test_id);
    if (tests.length === 0 && job === undefined) {
      this.#parts.log.warn({ run_id, test_id }, "an order names a test this agent does not have");
      return;
    }
    for (const { type, destination, params, interval_s, test_id: series } of tests) {
      this.#answerOrder({ type, destination, params, interval_s, series }, { run_id, test_id: series });
    }
    if (tests.length === 0 && job !== undefined) this.#answerOrder(job, { run_id, test_id: test_id ?? null });
  }

  #answerOrder(order: RunOrder, run: ToldRun & { readonly run_id: string }): void {
    const progress = this.#progressOf(run);
    progress.started();
    this.#measure(order, run, this.#parts.consent?.veto, progress)
      .then((result) => {
        if (this.#aborted(result)) return;
        this.#record(result, run.test_id, run.run_id);
        this.#link?.uploader.soon();
      })
      .catch((error: unknown) => this.#parts.log.error({ error: String(error) }, "an ordered run broke"));
  }

  /** A run that the agent's own end cut short says nothing about the network. */
  #aborted(result: Measurement): boolean {
    return this.#stop.signal.aborted && result.error?.code === "aborted";
  }

  #record(result: Measurement, test_id: string | null, run_id: string | null): void {
    this.#self.note(result);
    this.#abilities.tick(result.error?.code === "tool_missing");
    this.#keep("result", { test_id, run_id, ...result });
  }

  #keep(kind: Kind, item: Record<string, unknown>): void {
    const seq = this.#store.add(kind, item);
    this.#link?.sample(kind, { seq, ...item });
  }

  #sampleHost(): void {
    clearTimeout(this.#hostTimer);
    if (this.#stop.signal.aborted) return;
    this.#hostTimer = setTimeout(() => this.#sampleHost(), this.#cadence.hostSampleMs);
    if (this.#sampling) return;
    this.#sampling = true;
    this.#keepHostSample()
      .catch((error: unknown) => {
        this.#parts.log.error({ error: String(error) }, "sampling the host broke");
        // The next one is taken when it is due, not at once.
        this.#toldCutOff = this.#selfTest.cutOff;
      })
      .finally(() => {
        this.#sampling = false;
        // It changed while the sample was taken.
        if (this.#toldCutOff !== undefined && this.#selfTest.cutOff !== this.#toldCutOff) this.#sampleHost();
      });
  }

  async #keepHostSample(): Promise<void> {
    await this.#parts.consent?.look();
    // First, since it may take two seconds: what it says is true when the sample begins.
    const reach = await this.#selfTest.sample();
    const sample = await this.#host.sample();
    const { depth, dropped } = this.#store;
    const own = this.#self.sample({
      depth,
      dropped,
      uploadFailures: this.#link?.uploader.failures ?? 0,
      overlapped: this.#scheduler.skipped,
      lag: this.#scheduler.lag.p95,
      offset: this.#link?.offset ?? null,
    });
    const skipped = this.#self.skipped(this.#scheduler.skipped);
    const { needs, ...measured } = sample.detail;
    const detail = { ...measured, ...reach.detail, skipped, ...(await this.#facts(needs)) };
    if (this.#stop.signal.aborted) return;
    const { metrics, reasons } = mergeSheets(sample, own, reach.sheet);
    const first = this.#toldCutOff === undefined;
    this.#toldCutOff = reach.cutOff;
    this.#keep("host", {
      ...sample,
      metrics,
      reasons,
      detail,
      flags: [...sample.flags, ...conditions.sampleFlags(), ...reach.flags],
    });
    // Whoever has just installed this agent looks at its host next.
    if (first) this.#link?.uploader.soon();
  }

  /** What hardly ever changes and takes a quarter of a sample: told once a day, and to whoever watches. */
  async #facts(needs: HostDetail["needs"]): Promise<Pick<HostDetail, "needs" | "inventory">> {
    const due = performance.now() - this.#toldFactsAt >= DAY_MS;
    if (!due && !this.#cadence.live) return {};
    if (due) {
      this.#toldFactsAt = performance.now();
      this.#inventory = await inventory();
    }
    return { needs, inventory: this.#inventory };
  }
}

/** The metrics of several sheets in one; the later one knows better. */
function mergeSheets(...sheets: readonly Pick<MetricSheet, "metrics" | "reasons">[]): MetricSheet {
  const merged = new MetricSheet();
  for (const { metrics, reasons } of sheets) {
    for (const [name, value] of Object.entries(metrics) as [MetricName, MetricValue][]) {
      merged.set(name, value, reasons[name] ?? "unsupported");
    }
  }
  return merged;
}

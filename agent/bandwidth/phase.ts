// One phase of a bandwidth run: a direction, so many connections, until the rate is steady, the time is over or the bytes are spent.
import { performance } from "node:perf_hooks";
import type { Failure } from "../probes/endpoint.ts";
import { median } from "../statistics.ts";
import { waitUntil } from "../wait.ts";
import { silentFailure } from "./failures.ts";
import { HANDSHAKE_BYTES, Handshakes } from "./handshakes.ts";
import type { PhaseOrder } from "./phase-order.ts";
import { loadedSince, type PhaseEnd, type PhaseReport, phaseReport } from "./phase-report.ts";
import { Curve, FINE_MS, isSteady, SLICE_MS, slicesOf } from "./slices.ts";
import { type Load, Stream } from "./stream.ts";
import { type CountSource, uploadCurves } from "./upload-curves.ts";
import { WEB_EVERY_MS, WEB_PROBE_BYTES, WebProbes } from "./web-probes.ts";

/** Loaded round trips that a 95th percentile needs, and how often they are taken. */
const LOADED_LEAST = 20;
const LOADED_EVERY_MS = 100;
/** Of a phase's bytes, at most this share goes to the probes of its latency. */
const PROBE_SHARE = 0.1;
/** A point this late had the process held up: what had waited in the kernel is not that moment's alone. */
const LATE_MS = 20;
/** The kernel is asked once in so many ticks where only round trips are wanted of it. */
const KERNEL_TICKS = 4;
/** After the load, for handshakes that are still under way. */
const AFTER_MS = 1500;

export class Phase {
  readonly #order: PhaseOrder;
  readonly #over = new AbortController();
  readonly #signal: AbortSignal;
  readonly #streams: Stream[];
  readonly #down = new Curve();
  readonly #handshakes: Handshakes;
  readonly #web: WebProbes;
  readonly #retrans = new Map<unknown, number>();
  /** Slices of the warm-up. */
  readonly #warmUp: number;
  #forProbes: number;
  #moved = 0;
  /** Rate of the newest slice, Mbit/s. */
  #newest = 0;
  #began: number | undefined;
  #ended: PhaseEnd | undefined;
  #loadedUntil = 0;
  #skipped = false;
  #ticks = 0;
  /** Slices that are over. */
  #ticked = 0;
  #reading: Promise<void> | undefined;
  #cc: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(order: PhaseOrder) {
    this.#order = order;
    this.#warmUp = Math.ceil(order.warm_up_ms / SLICE_MS);
    this.#signal = AbortSignal.any([order.signal, this.#over.signal]);
    const load: Load = {
      ...order,
      signal: this.#signal,
      moved: (bytes) => this.#onBytes(bytes),
      spent: () => this.#finish("budget"),
      underway: () => this.#underway(),
    };
    this.#streams = Array.from({ length: order.streams }, () => new Stream(load));
    const { peer, share, target, timeout_ms, duration_ms, signal } = order;
    const cost = WEB_PROBE_BYTES[peer.tls === undefined ? "plain" : "tls"];
    const most = Math.ceil(duration_ms / LOADED_EVERY_MS);
    const web = Math.ceil(duration_ms / WEB_EVERY_MS);
    // Set aside, or the load would take all there is.
    this.#forProbes = order.latency ? share.take(Math.min(most * HANDSHAKE_BYTES + web * cost, PROBE_SHARE * share.total)) : 0;
    const allow = (bytes: number) => () => this.#probe(bytes);
    const every = { every_ms: LOADED_EVERY_MS, most, timeout_ms: 3 * timeout_ms, allow: allow(HANDSHAKE_BYTES) };
    this.#handshakes = new Handshakes(peer, every, signal);
    this.#web = new WebProbes(target, peer, { timeout_ms, allow: allow(cost), signal });
  }

  /** Takes a probe's bytes from those set aside. */
  #probe(bytes: number): boolean {
    if (this.#forProbes < bytes) return false;
    this.#forProbes -= bytes;
    return true;
  }

  /** Runs the phase to its end. Never rejects. */
  async run(): Promise<PhaseReport> {
    const { signal, timeout_ms, direction } = this.#order;
    const stop = () => this.#finish("stopped");
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    // Until the first byte; from then on it is the clock.
    this.#timer = setTimeout(() => this.#finish("broken"), timeout_ms);
    await Promise.all(this.#streams.map((stream) => stream.run(direction)));
    // Every stream has given up where nothing else has ended the phase.
    this.#finish("broken");
    signal.removeEventListener("abort", stop);
    await this.#reading;
    await this.#lastHandshakes();
    return this.#report();
  }

  #onBytes(bytes: number): void {
    this.#moved += bytes;
    if (this.#began !== undefined || this.#ended !== undefined) return;
    const began = performance.now();
    this.#began = began;
    this.#down.add(began, 0);
    clearTimeout(this.#timer);
    this.#wait(began + FINE_MS);
    if (!this.#order.latency) return;
    this.#handshakes.start();
    this.#web.start();
  }

  /** Notes what has come, and ticks at each slice's end, by an absolute schedule; what was missed is left out. */
  #wait(due: number): void {
    const turn = () => {
      const now = performance.now();
      this.#note(now, now - due);
      const over = Math.floor((now + 1 - (this.#began ?? now)) / SLICE_MS);
      if (over > this.#ticked) this.#tick(now);
      this.#ticked = over;
      if (this.#ended !== undefined) return;
      const missed = Math.max(0, Math.floor((performance.now() - due) / FINE_MS));
      this.#wait(due + (missed + 1) * FINE_MS);
    };
    this.#timer = setTimeout(turn, Math.max(1, due - performance.now()));
  }

  /** One more point of what has come. That of a late one is left to the next: together they have the right time. */
  #note(now: number, late: number): void {
    this.#skipped = late > LATE_MS && !this.#skipped;
    if (!this.#skipped) this.#down.add(now, this.#moved);
  }

  #tick(now: number): void {
    const { direction, duration_ms, onTick } = this.#order;
    const began = this.#began ?? now;
    this.#ticks += 1;
    if (direction === "up" || (this.#order.latency && this.#ticks % KERNEL_TICKS === 0)) this.#askKernel();
    const { slices } = this.#slices(now);
    this.#newest = slices.at(-1) ?? 0;
    this.#watchIncoming();
    onTick(slices.at(-1), Math.min(1, (now - began) / duration_ms));
    if (isSteady(slices, this.#warm(slices)) && this.#latencySteady(slices)) this.#finish("steady");
    else if (now - began >= duration_ms - 1) this.#finish("time");
  }

  #slices(now: number, width = SLICE_MS): { slices: number[]; by: CountSource } {
    const began = this.#began ?? now;
    const known =
      this.#order.direction === "down"
        ? { curves: [this.#down], until: this.#down.last ?? began, by: "read" as const }
        : uploadCurves(this.#streams, this.#order.kernel.missing === undefined);
    return { slices: slicesOf(known.curves, began, Math.min(known.until, now), width), by: known.by };
  }

  /**
   * Slices that do not count. It is the warm-up, except where the byte budget would be spent before it and four slices are
   * over: then what counts is what agrees, from the second slice on.
   */
  #warm(slices: readonly number[]): number {
    const { share } = this.#order;
    const warm = this.#warmUp;
    const rate = Math.max(0, ...slices.slice(-2));
    const needed = ((warm + 4) * SLICE_MS * rate * 1000) / 8;
    return needed > share.total ? Math.min(warm, 1) : warm;
  }

  /** Whether the round trips have stopped growing too: a deep queue is still filling when the rate has long been steady. */
  #latencySteady(slices: readonly number[]): boolean {
    if (!this.#order.latency || this.#forProbes < HANDSHAKE_BYTES) return true;
    // Those of the last second are open until the kernel is asked, so that what is known now is a little old.
    const since = loadedSince(this.#began ?? 0, this.#warm(slices));
    const times = this.#handshakes.results.filter(({ at }) => at >= since).flatMap(({ rtt_ms }) => rtt_ms ?? []);
    // Where none succeeds there is nothing to wait for.
    if (times.length < LOADED_LEAST) return times.length === 0 && this.#handshakes.results.length >= LOADED_LEAST;
    const half = LOADED_LEAST / 2;
    const [before, now] = [median(times.slice(-2 * half, -half)) ?? 0, median(times.slice(-half)) ?? 0];
    return now <= before * 1.2 + 5;
  }

  #askKernel(): void {
    const { kernel, peer, direction } = this.#order;
    if (kernel.missing !== undefined) {
      this.#handshakes.settle(new Map(), this.#handshakes.open);
      return;
    }
    if (this.#reading !== undefined) return;
    const wires = this.#streams.flatMap(({ wire }) => (wire === undefined ? [] : [wire]));
    const asked = this.#handshakes.open;
    const began = performance.now();
    this.#reading = kernel.read([...wires.map(({ tcp }) => tcp), ...asked], peer.port).then((figures) => {
      const at = (began + performance.now()) / 2;
      this.#handshakes.settle(figures, asked);
      for (const wire of wires) {
        const info = figures.get(wire.tcp)?.info;
        if (info === undefined) continue;
        this.#cc ??= info.cc ?? undefined;
        this.#retrans.set(wire, info.retrans_total ?? 0);
        if (direction !== "up" || info.bytes_acked === null) continue;
        // What came behind a lost segment has arrived as well; it is acknowledged selectively (RFC 2018).
        const arrived = info.bytes_acked + (info.sacked ?? 0) * (info.mss ?? 0);
        for (const { upload } of this.#streams) upload.kernel.get(wire)?.add(at, arrived);
      }
      this.#reading = undefined;
    });
  }

  /** What waits in the kernel behind a lost segment has used the line as well, and may be more than what was read. */
  #watchIncoming(): void {
    const { incoming, share } = this.#order;
    void incoming?.received().then((bytes) => {
      if (bytes !== undefined && bytes + this.#underway() / 2 >= share.total) this.#finish("budget");
    });
  }

  /**
   * Bytes on their way here, by the rate so far or of the newest slice, and the round trip just now; twice, since slow start
   * doubles them with each round trip, and what arrived behind a lost segment is not read yet.
   */
  #underway(): number {
    const began = this.#began;
    if (began === undefined) return 0;
    const now = performance.now();
    const rate = Math.max(this.#moved / Math.max(SLICE_MS, now - began), (this.#newest * 1000) / 8);
    return 2 * rate * Math.max(this.#order.rtt_ms, this.#handshakes.delay(now));
  }

  #finish(end: PhaseEnd): void {
    if (this.#ended !== undefined) return;
    this.#ended = end;
    this.#loadedUntil = performance.now();
    this.#handshakes.stop();
    clearTimeout(this.#timer);
    this.#over.abort();
  }

  /** Lets the handshakes under way come back: left out, the longest round trips would be missing. */
  async #lastHandshakes(): Promise<void> {
    const { signal, kernel, peer } = this.#order;
    if (this.#order.latency && !signal.aborted) {
      await Promise.race([this.#handshakes.settled(), waitUntil(performance.now() + AFTER_MS, signal)]);
      const asked = this.#handshakes.open;
      if (kernel.missing === undefined && asked.length > 0) this.#handshakes.settle(await kernel.read(asked, peer.port), asked);
    }
    this.#handshakes.end();
    this.#web.end();
    this.#order.share.giveBack(this.#forProbes);
  }

  #report(): PhaseReport {
    const { direction, streams } = this.#order;
    const { slices, by } = this.#slices(this.#loadedUntil + 1);
    const ended = this.#ended ?? "stopped";
    const seen = {
      direction,
      streams,
      loaded: this.#streams.filter(({ loaded }) => loaded).length,
      ended,
      by,
      slices,
      fine: ended === "budget" ? this.#slices(this.#loadedUntil + 1, FINE_MS).slices : [],
      began: this.#began,
      over: this.#loadedUntil,
      handshakes: this.#handshakes.results,
      web: this.#web.results,
      cc: this.#cc,
      retrans: this.#retrans.size === 0 ? undefined : [...this.#retrans.values()].reduce((sum, each) => sum + each, 0),
    };
    return phaseReport(seen, {
      warm_up: this.#warmUp,
      warm: this.#warm(slices),
      rtt_ms: this.#order.idle_ms,
      trouble: (rated) => this.#trouble(ended, rated),
    });
  }

  #trouble(ended: PhaseEnd, rated: boolean): Failure | undefined {
    const { direction, peer, timeout_ms, duration_ms } = this.#order;
    if (rated && ended !== "broken") return undefined;
    const told = this.#streams.find(({ trouble }) => trouble !== undefined)?.trouble;
    if (told !== undefined || ended === "budget" || ended === "stopped") return told;
    return silentFailure(direction, peer, ended === "broken" ? timeout_ms : duration_ms);
  }
}

// One phase of a bandwidth run: a direction, so many connections, until the rate is steady, the time is over or the bytes are spent.
import { performance } from "node:perf_hooks";
import type { Failure } from "../probes/endpoint.ts";
import type { KernelReader } from "../probes/tcp-kernel.ts";
import { median } from "../statistics.ts";
import type { Share } from "./allowance.ts";
import { silentFailure } from "./failures.ts";
import { HANDSHAKE_BYTES, type Handshake, Handshakes } from "./handshakes.ts";
import { countedSlices, Curve, isSteady, rampOf, rateOf, SLICE_MS, slicesOf } from "./slices.ts";
import { type Load, Stream } from "./stream.ts";
import type { SpeedTarget } from "./target.ts";
import { type CountSource, uploadCurves } from "./upload-curves.ts";
import { WEB_PROBE_BYTES, type WebProbe, WebProbes } from "./web-probes.ts";
import type { WirePeer } from "./wire.ts";

/** Loaded round trips that a 95th percentile needs, and how often they are taken. */
const LOADED_LEAST = 20;
const LOADED_EVERY_MS = 100;
/** A tick this late had the process held up: what had waited in the kernel is not that slice's alone. */
const LATE_MS = 20;
/** The kernel is asked once in so many ticks where only round trips are wanted of it. */
const KERNEL_TICKS = 4;
/** After the load, for handshakes that are still under way. */
const AFTER_MS = 1500;

export interface PhaseOrder {
  readonly direction: "down" | "up";
  readonly streams: number;
  readonly duration_ms: number;
  readonly warm_up_ms: number;
  readonly timeout_ms: number;
  readonly target: SpeedTarget;
  readonly peer: WirePeer;
  readonly share: Share;
  readonly kernel: KernelReader;
  /** Whether round trips are measured meanwhile. */
  readonly latency: boolean;
  readonly signal: AbortSignal;
  /** The rate of the newest slice, Mbit/s, once there is one, and the share of the phase's time that is over. */
  onTick(mbps: number | undefined, done: number): void;
}

export type PhaseEnd = "steady" | "time" | "budget" | "broken" | "stopped";

export interface PhaseReport {
  readonly direction: "down" | "up";
  readonly streams: number;
  /** Connections on which bytes moved. */
  readonly loaded: number;
  readonly ended: PhaseEnd;
  readonly by: CountSource;
  /** Mbit/s of each slice from the first byte on. */
  readonly slices: readonly number[];
  /** Slices at the start that did not count. */
  readonly warm: number;
  readonly mbps: number | undefined;
  readonly mean_mbps: number | undefined;
  readonly ramp_ms: number | undefined;
  readonly duration_ms: number;
  readonly trouble: Failure | undefined;
  readonly handshakes: readonly Handshake[];
  readonly web: readonly WebProbe[];
  /** Of the connections' kernel figures: congestion control, and segments sent again. */
  readonly cc: string | undefined;
  readonly retrans: number | undefined;
}

export class Phase {
  readonly #order: PhaseOrder;
  readonly #over = new AbortController();
  readonly #signal: AbortSignal;
  readonly #streams: Stream[];
  readonly #down = new Curve();
  readonly #handshakes: Handshakes;
  readonly #web: WebProbes;
  readonly #retrans = new Map<unknown, number>();
  #moved = 0;
  #began: number | undefined;
  #ended: PhaseEnd | undefined;
  #loadedUntil = 0;
  #skipped = false;
  #ticks = 0;
  #reading: Promise<void> | undefined;
  #cc: string | undefined;
  #end: () => void = () => {};

  constructor(order: PhaseOrder) {
    this.#order = order;
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
    const allow = (bytes: number) => () => share.take(bytes) === bytes;
    const most = Math.ceil((duration_ms + timeout_ms) / LOADED_EVERY_MS);
    const every = { every_ms: LOADED_EVERY_MS, most, timeout_ms: 3 * timeout_ms, allow: allow(HANDSHAKE_BYTES) };
    this.#handshakes = new Handshakes(peer, every, signal);
    const cost = WEB_PROBE_BYTES[peer.tls === undefined ? "plain" : "tls"];
    this.#web = new WebProbes(target, peer, { timeout_ms, allow: allow(cost), signal });
  }

  /** Runs the phase to its end. Never rejects. */
  async run(): Promise<PhaseReport> {
    const { order, loads } = this.#start();
    await new Promise<void>((resolve) => {
      this.#end = resolve;
      const silence = setTimeout(() => this.#finish("broken"), order.timeout_ms);
      const stop = () => this.#finish("stopped");
      order.signal.addEventListener("abort", stop, { once: true });
      const timer = this.#clock();
      this.#over.signal.addEventListener("abort", () => {
        clearTimeout(silence);
        timer.stop();
        order.signal.removeEventListener("abort", stop);
        resolve();
      });
      this.#onFirstByte = () => clearTimeout(silence);
      if (order.signal.aborted) stop();
    });
    await loads;
    await this.#reading;
    await this.#lastHandshakes();
    return this.#report();
  }

  #onFirstByte: () => void = () => {};

  #start(): { order: PhaseOrder; loads: Promise<unknown> } {
    const loads = Promise.all(this.#streams.map((stream) => stream.run(this.#order.direction)));
    // When every stream has given up there is nothing left to wait for.
    loads.then(() => this.#finish("broken")).catch(() => this.#finish("broken"));
    return { order: this.#order, loads };
  }

  #onBytes(bytes: number): void {
    this.#moved += bytes;
    if (this.#began !== undefined) return;
    this.#began = performance.now();
    this.#onFirstByte();
    this.#down.add(this.#began, 0);
    if (!this.#order.latency) return;
    this.#handshakes.start();
    this.#web.start();
  }

  /** Calls `tick` every slice from the first byte on, by an absolute schedule. */
  #clock(): { stop: () => void } {
    let timer: NodeJS.Timeout;
    let index = 0;
    const wait = (ms: number) => {
      timer = setTimeout(() => {
        const began = this.#began;
        if (began === undefined) {
          wait(5);
          return;
        }
        const due = began + index * SLICE_MS;
        const now = performance.now();
        if (index > 0 && now >= due - 1) this.#tick(now, now - due);
        if (this.#ended !== undefined) return;
        while (began + index * SLICE_MS <= now + 1) index += 1;
        wait(Math.max(1, began + index * SLICE_MS - performance.now()));
      }, ms);
    };
    wait(1);
    return { stop: () => clearTimeout(timer) };
  }

  #tick(now: number, late: number): void {
    const { direction, duration_ms, onTick } = this.#order;
    const began = this.#began ?? now;
    this.#ticks += 1;
    if (direction === "down") {
      // Its bytes are the next point's: together they have the right time.
      this.#skipped = late > LATE_MS && !this.#skipped;
      if (!this.#skipped) this.#down.add(now, this.#moved);
    }
    if (direction === "up" || this.#ticks % KERNEL_TICKS === 0) this.#askKernel();
    const { slices } = this.#slices(now);
    onTick(slices.at(-1), Math.min(1, (now - began) / duration_ms));
    if (isSteady(slices, this.#warm(slices)) && this.#latencySteady(slices)) this.#finish("steady");
    else if (now - began >= duration_ms - 1) this.#finish("time");
  }

  #slices(now: number): { slices: number[]; by: CountSource } {
    const began = this.#began ?? now;
    const known =
      this.#order.direction === "down"
        ? { curves: [this.#down], until: this.#down.last ?? began, by: "read" as const }
        : uploadCurves(this.#streams, this.#order.kernel.missing === undefined);
    return { slices: slicesOf(known.curves, began, Math.min(known.until, now)), by: known.by };
  }

  /**
   * Slices that do not count. It is the warm-up, except where the byte budget would be spent before it and four slices are
   * over: then what counts is what agrees, from the second slice on.
   */
  #warm(slices: readonly number[]): number {
    const { warm_up_ms, share } = this.#order;
    const warm = Math.ceil(warm_up_ms / SLICE_MS);
    const rate = Math.max(0, ...slices.slice(-2));
    const needed = ((warm + 4) * SLICE_MS * rate * 1000) / 8;
    return needed > share.total ? Math.min(warm, 1) : warm;
  }

  /** Handshakes that were begun when the line was full. */
  #loadedSince(slices: readonly number[]): number {
    return (this.#began ?? 0) + (this.#warm(slices) * SLICE_MS) / 2;
  }

  /** Whether the round trips have stopped growing too: a deep queue is still filling when the rate has long been steady. */
  #latencySteady(slices: readonly number[]): boolean {
    if (!this.#order.latency || this.#order.share.left < HANDSHAKE_BYTES) return true;
    // Those of the last second are open until the kernel is asked, so that what is known now is a little old.
    const since = this.#loadedSince(slices);
    const times = this.#handshakes.results.filter(({ at }) => at >= since).flatMap(({ rtt_ms }) => rtt_ms ?? []);
    if (times.length < LOADED_LEAST) return this.#handshakes.results.length === 0 && this.#handshakes.failed !== undefined;
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
        for (const { upload } of this.#streams) upload.kernel.get(wire)?.add(at, info.bytes_acked);
      }
      this.#reading = undefined;
    });
  }

  /** Bytes on their way here, by the rate and the round trip under load. */
  #underway(): number {
    const began = this.#began;
    if (began === undefined) return 0;
    const rtt = median(this.#handshakes.results.slice(-5).flatMap(({ rtt_ms }) => rtt_ms ?? [])) ?? 0;
    return (this.#moved / Math.max(SLICE_MS, performance.now() - began)) * rtt;
  }

  #finish(end: PhaseEnd): void {
    if (this.#ended !== undefined) return;
    this.#ended = end;
    this.#loadedUntil = performance.now();
    this.#handshakes.stop();
    this.#over.abort();
    this.#end();
  }

  /** Lets the handshakes under way come back: left out, the longest round trips would be missing. */
  async #lastHandshakes(): Promise<void> {
    const { signal, kernel, peer } = this.#order;
    if (this.#order.latency && !signal.aborted) {
      await Promise.race([this.#handshakes.settled(), pause(AFTER_MS, signal)]);
      const asked = this.#handshakes.open;
      if (kernel.missing === undefined && asked.length > 0) this.#handshakes.settle(await kernel.read(asked, peer.port), asked);
    }
    this.#handshakes.end();
    this.#web.end();
  }

  #report(): PhaseReport {
    const { direction, streams, latency } = this.#order;
    const now = performance.now();
    const { slices, by } = this.#slices(now);
    const warm = this.#warm(slices);
    const ended = this.#ended ?? "stopped";
    const counted = countedSlices(slices, warm, ended === "budget");
    const mbps = rateOf(counted);
    const since = this.#loadedSince(slices);
    const until = this.#loadedUntil;
    const during = <Probe extends { at: number }>(probes: readonly Probe[]) =>
      latency ? probes.filter(({ at }) => at >= since && at <= until) : [];
    return {
      direction,
      streams,
      loaded: this.#streams.filter(({ loaded }) => loaded).length,
      ended,
      by,
      slices,
      warm: slices.length - counted.length,
      mbps,
      mean_mbps: counted.length === 0 ? undefined : counted.reduce((sum, slice) => sum + slice, 0) / counted.length,
      ramp_ms: mbps === undefined ? undefined : rampOf(slices, mbps),
      duration_ms: this.#began === undefined ? 0 : until - this.#began,
      trouble: this.#trouble(ended, mbps),
      handshakes: during(this.#handshakes.results),
      web: during(this.#web.results),
      cc: this.#cc,
      retrans: this.#retrans.size === 0 ? undefined : [...this.#retrans.values()].reduce((sum, each) => sum + each, 0),
    };
  }

  #trouble(ended: PhaseEnd, mbps: number | undefined): Failure | undefined {
    const { direction, peer, timeout_ms, duration_ms } = this.#order;
    if (mbps !== undefined && ended !== "broken") return undefined;
    const told = this.#streams.find(({ trouble }) => trouble !== undefined)?.trouble;
    if (told !== undefined || ended === "budget" || ended === "stopped") return told;
    return silentFailure(direction, peer, ended === "broken" ? timeout_ms : duration_ms);
  }
}

/** Resolves after so long, or at the signal. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}

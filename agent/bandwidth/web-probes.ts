// Small requests on connections of their own while the line is full: TLS handshake and HTTP round trip for responsiveness.
import { performance } from "node:perf_hooks";
import { requestHead, type SpeedTarget } from "./target.ts";
import { tlsRoundTrips, Wire, type WirePeer } from "./wire.ts";

/** Handshake, request and answer with their headers, bytes on the line; TLS adds a certificate chain. */
export const WEB_PROBE_BYTES = { plain: 1500, tls: 6000 } as const;
export const WEB_EVERY_MS = 500;

export interface WebProbe {
  /** When it began, monotonic ms. */
  readonly at: number;
  /** TLS handshake per round trip; null without TLS. */
  readonly tls_ms: number | null;
  /** Request to the end of the answer. */
  readonly http_ms: number;
}

export class WebProbes {
  readonly results: WebProbe[] = [];
  readonly #target: SpeedTarget;
  readonly #peer: WirePeer;
  readonly #timeout_ms: number;
  readonly #allow: () => boolean;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    target: SpeedTarget,
    peer: WirePeer,
    { timeout_ms, allow, signal }: { timeout_ms: number; allow: () => boolean; signal: AbortSignal },
  ) {
    this.#target = target;
    this.#peer = peer;
    this.#timeout_ms = timeout_ms;
    this.#allow = allow;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
  }

  start(): void {
    this.#timer = setInterval(() => {
      if (this.#allow()) void this.#probe();
    }, WEB_EVERY_MS);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#stop.abort();
  }

  async #probe(): Promise<void> {
    const at = performance.now();
    const wire = await Wire.open(this.#peer, this.#timeout_ms, this.#signal);
    if (!(wire instanceof Wire)) return;
    const stop = () => wire.close();
    this.#signal.addEventListener("abort", stop, { once: true });
    const sent = performance.now();
    // A reflector's answer that it wants a key is as far away as any other; another server's URL may be large.
    const order = this.#target.streams
      ? { head: requestHead(this.#target, "GET", this.#target.down(1)) }
      : { head: requestHead(this.#target, "HEAD", this.#target.down(1)), bodiless: true };
    const answer = await wire.exchange(order);
    this.#signal.removeEventListener("abort", stop);
    const http_ms = performance.now() - sent;
    if (answer.ok) {
      const tls_ms = wire.tls_ms === null ? null : wire.tls_ms / tlsRoundTrips(wire.socket);
      this.results.push({ at, tls_ms, http_ms });
    }
    wire.close();
  }
}

// Items on their way to the pages that watch a client. Each is shown once, whether it comes first as a live sample or in an
// upload; numbers are remembered until they are stored.
import type { HostSample, WireResult } from "#contract/result";
import type { Stored } from "../store/ring.ts";
import type { Browsers } from "./browsers.ts";
import { toReading, toResult } from "./view.ts";

interface Items {
  results: WireResult[];
  hosts: HostSample[];
}

/** Streamed numbers remembered until they are stored; a page that sees one twice drops it. */
const STREAMED_AT_MOST = 2000;

export class LiveFeed {
  readonly #browsers: Browsers;
  readonly #clientId: () => string;
  readonly #host: () => Stored<HostSample> | null;
  readonly #streamed = new Set<number>();

  /** `host` is the newest host sample, shown with each result. */
  constructor(browsers: Browsers, clientId: () => string, host: () => Stored<HostSample> | null) {
    this.#browsers = browsers;
    this.#clientId = clientId;
    this.#host = host;
  }

  /** Live samples: shown, and remembered while they are not stored. */
  sampled(items: Items, received_at: number, lastStored: number): void {
    this.#show(items, received_at);
    for (const { seq } of [...items.results, ...items.hosts]) if (seq > lastStored) this.#remember(seq);
  }

  /** Items of an upload that is stored up to `to`. */
  stored(items: Items, received_at: number, to: number): void {
    this.#show(items, received_at);
    for (const seq of this.#streamed) if (seq <= to) this.#streamed.delete(seq);
  }

  #remember(seq: number): void {
    this.#streamed.add(seq);
    const oldest = this.#streamed.values().next().value;
    if (this.#streamed.size > STREAMED_AT_MOST && oldest !== undefined) this.#streamed.delete(oldest);
  }

  #show({ results, hosts }: Items, received_at: number): void {
    const client_id = this.#clientId();
    const unseen = ({ seq }: { seq: number }) => !this.#streamed.has(seq);
    for (const item of results.filter(unseen)) {
      const result = toResult(client_id, { item, received_at }, this.#host() ?? undefined);
      this.#browsers.send({ type: "result", client_id, result });
    }
    for (const item of hosts.filter(unseen)) {
      this.#browsers.send({ type: "result", client_id, host: toReading(client_id, { item, received_at }) });
    }
  }
}

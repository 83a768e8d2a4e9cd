// The packets that all runs together send in a second, for a consent file that limits them: a run waits until there is room for it.

interface Share {
  readonly packets_per_s: number;
}

export class SharedRate {
  readonly #running = new Set<Share>();
  /** Those that wait, first come first served; each answers whether its turn has come. */
  readonly #queue: (() => boolean)[] = [];

  /**
   * Waits until a run that sends so many packets a second fits under `most` together with those under way. Answers how to end it;
   * undefined when `stop` came first. One that is alone always fits.
   */
  take(packets_per_s: number, most: number, stop: AbortSignal): Promise<(() => void) | undefined> {
    const share: Share = { packets_per_s };
    return new Promise((resolve) => {
      if (stop.aborted) return resolve(undefined);
      const begin = () => {
        const used = [...this.#running].reduce((sum, each) => sum + each.packets_per_s, 0);
        if (this.#running.size > 0 && used + packets_per_s > most) return false;
        stop.removeEventListener("abort", leave);
        this.#running.add(share);
        resolve(() => {
          this.#running.delete(share);
          this.#next();
        });
        return true;
      };
      const leave = () => {
        this.#queue.splice(this.#queue.indexOf(begin), 1);
        resolve(undefined);
        this.#next();
      };
      stop.addEventListener("abort", leave, { once: true });
      this.#queue.push(begin);
      if (this.#queue.length === 1) this.#next();
    });
  }

  #next(): void {
    while (this.#queue[0]?.() === true) this.#queue.shift();
  }
}

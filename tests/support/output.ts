// What a program prints, and waiting for a line of it.
import type { ChildProcess } from "node:child_process";

export class Output {
  text = "";
  ended = false;
  readonly #watchers = new Set<() => void>();

  constructor(child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8");
      stream?.on("data", (chunk: string) => {
        this.text += chunk;
        this.#tell();
      });
    }
    child.once("close", () => {
      this.ended = true;
      this.#tell();
    });
  }

  /** Resolves with the first line that matches; rejects when the program ends or stays silent, with what it did print. */
  line(pattern: RegExp, timeoutMs: number): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const fail = (why: string) => reject(new Error(`No line ${pattern} ${why}. It printed:\n${this.text}`));
    const timer = setTimeout(() => fail(`within ${timeoutMs} ms`), timeoutMs);
    const look = () => {
      const found = this.text.split("\n").find((line) => pattern.test(line));
      if (found !== undefined) resolve(found);
      else if (this.ended) fail("before the program ended");
    };
    this.#watchers.add(look);
    look();
    return promise.finally(() => {
      clearTimeout(timer);
      this.#watchers.delete(look);
    });
  }

  #tell(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}

// Makes the recorded trees of fixtures/sysfs real: a directory with proc, sys, run and dev as a host has them.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { scratch } from "./cli.ts";

export interface Tree {
  /** What stands in place of "/". */
  readonly top: string;
  /** Writes a file of it. */
  put(path: string, text: string): void;
}

/** A new copy of a recorded tree; without a name an empty one. */
export function plant(name?: "laptop" | "server" | "raspberry-pi" | "vm"): Tree {
  const top = scratch();
  const put = (path: string, text: string) => {
    mkdirSync(dirname(join(top, path)), { recursive: true });
    writeFileSync(join(top, path), text);
  };
  const recorded = name === undefined ? "" : fileURLToPath(new URL(`../fixtures/sysfs/${name}.txt`, import.meta.url));
  const lines = recorded === "" ? [] : readFileSync(recorded, "utf8").split("\n");
  for (const line of lines.filter((each) => each !== "")) {
    const [path = "", text = ""] = line.split("\t");
    if (path.endsWith("/")) mkdirSync(join(top, path), { recursive: true });
    else put(path.replaceAll("\\\\", "\\"), text.replaceAll("\\n", "\n"));
  }
  return { top, put };
}

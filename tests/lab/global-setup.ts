// Brings the lab up once for all files of the suite, prints the rows as they come and as one table at the end.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { clearAbandoned, Lab } from "./harness/lab.ts";
import { missing } from "./harness/needs.ts";
import { chooseSeed } from "./harness/random.ts";
import { line, type Row, table } from "./harness/rows.ts";

const PRINT_EVERY_MS = 500;

const readRows = (file: string): Row[] =>
  existsSync(file)
    ? readFileSync(file, "utf8")
        .split("\n")
        .filter((text) => text !== "")
        .map((text) => JSON.parse(text) as Row)
    : [];

export default async function setup(project: TestProject): Promise<() => void> {
  const seed = chooseSeed(process.env);
  const dir = mkdtempSync(join(tmpdir(), "streamswarm-lab-"));
  const rows = join(dir, "rows.jsonl");
  const why = missing();
  // At most 8 characters, and of this process alone.
  const lab = new Lab(`t${process.pid.toString(36)}`);
  project.provide("labId", lab.id);
  project.provide("labMissing", why);
  project.provide("labSeed", seed);
  project.provide("labRows", rows);
  project.provide("labFull", process.env.LAB_FULL === "1");
  if (why !== null) return () => rmSync(dir, { recursive: true });

  console.log(`\nlab ${lab.id}, seed ${seed} (LAB_SEED=${seed} draws the same settings again)`);
  clearAbandoned();
  // Also when the run is interrupted, which calls no teardown.
  const down = () => lab.down();
  process.once("exit", down);
  await lab.up();
  lab.own();
  let printed = 0;
  const printer = setInterval(() => {
    const all = readRows(rows);
    for (const row of all.slice(printed)) console.log(`  ${line(row)}`);
    printed = all.length;
  }, PRINT_EVERY_MS);
  return () => {
    clearInterval(printer);
    const all = readRows(rows);
    const bad = all.filter((row) => row.verdict === "FAIL").length;
    const again = all.filter((row) => row.verdict === "again").length;
    console.log(`\n${table(all)}\n\n${all.length} rows, ${bad} failed, ${again} tried again; seed ${seed}`);
    rmSync(dir, { recursive: true });
    process.off("exit", down);
    down();
  };
}

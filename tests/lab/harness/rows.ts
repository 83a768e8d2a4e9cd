// The rows of the report: truth, ours, the best peer in the same run, verdict. Written as they finish; the run prints them.
import { appendFileSync } from "node:fs";
import { FAMILIES, type Family } from "./lab.ts";

export interface Row {
  bar: string;
  setting: string;
  family: Family | null;
  quantity: string;
  truth: string;
  ours: string;
  /** The best peer's figure and its name; empty where no tool measures this. */
  peer: string;
  /** `again`: missed by chance, perhaps for a busy machine, and tried once more. */
  verdict: "ok" | "FAIL" | "again";
  /** Whether chance can make it miss: a time can, a count cannot. */
  chance: boolean;
}

type Value = number | string | boolean | null | undefined | readonly (string | number | null)[];

/** What every row of one run shares. */
export interface Place {
  bar: string;
  setting: string;
  family: Family | null;
  /** Whether counts depend on chance here as well. */
  chance?: boolean;
}

export interface Peer {
  name: string;
  value: Value;
}

export function show(value: Value): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return String(Math.round(value * 1000) / 1000);
  if (typeof value === "object") return value.map((part) => (part === null ? "*" : String(part))).join(" ");
  return String(value);
}

/** Rows of one run, judged but not yet written: a run may be repeated. */
export class Sheet {
  readonly rows: Row[] = [];
  readonly #place: Omit<Place, "chance">;
  readonly #chance: boolean;

  constructor({ chance, ...place }: Place) {
    this.#place = place;
    this.#chance = chance ?? false;
  }

  judge(quantity: string, truth: Value | Bound, ours: Value, good: boolean, peer?: Peer): void {
    this.#add(quantity, truth, ours, good, peer, this.#chance);
  }

  #add(quantity: string, truth: Value | Bound, ours: Value, good: boolean, peer: Peer | undefined, chance: boolean): void {
    const said = isBound(truth) ? truth.text : show(truth);
    const beside = peer === undefined ? "" : `${show(peer.value)} (${peer.name})`;
    const verdict = good ? "ok" : "FAIL";
    this.rows.push({ ...this.#place, quantity, truth: said, ours: show(ours), peer: beside, verdict, chance });
  }

  /** Equal, and not missing. */
  equal(quantity: string, truth: Value, ours: Value, peer?: Peer): void {
    this.judge(quantity, truth, ours, ours !== undefined && show(truth) === show(ours), peer);
  }

  near(quantity: string, truth: number | null, ours: number | null, tolerance: number, peer?: Peer): void {
    const good = truth !== null && ours !== null && Math.abs(truth - ours) <= tolerance;
    this.#add(quantity, bound(`${show(truth)} ±${tolerance}`), ours, good, peer, true);
  }

  atMost(quantity: string, limit: number, ours: number | null, peer?: Peer): void {
    this.#add(quantity, bound(`≤ ${show(limit)}`), ours, ours !== null && ours <= limit, peer, true);
  }
}

interface Bound {
  text: string;
}
const isBound = (value: Value | Bound): value is Bound => typeof value === "object" && value !== null && "text" in value;
/** A truth that is a range, as it is to be printed. */
export const bound = (text: string): Bound => ({ text });

/** Writes the rows where the run collects them, and throws when one of them is bad. */
export function settle(file: string, rows: readonly Row[]): void {
  appendFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const bad = rows.filter((row) => row.verdict === "FAIL");
  if (bad.length === 0) return;
  const list = bad.map((row) => `${row.setting}, ${familyName(row.family)}${row.quantity}: truth ${row.truth}, ours ${row.ours}`);
  throw new Error(`${bad.length} of ${rows.length} rows failed:\n${list.join("\n")}`);
}

const familyName = (family: Family | null) => (family === null ? "" : `IPv${family}, `);

/** Rows of both families, measured at the same time: for counts, and for times that the kernel takes. */
export async function together(work: (family: Family) => Promise<Row[]>): Promise<Row[]> {
  return (await Promise.all(FAMILIES.map(work))).flat();
}

/** Rows of both families, one after the other: for times that Node takes, which a second Node beside it would stretch. */
export async function inTurn(work: (family: Family) => Promise<Row[]>): Promise<Row[]> {
  const rows: Row[] = [];
  for (const family of FAMILIES) rows.push(...(await work(family)));
  return rows;
}

/** How often a bar that depends on chance may be tried. */
const TRIES = 3;

/**
 * Rows of at most three runs: again while nothing but chance is against us. What is exact must hold in every run; what missed by
 * chance stays in the report.
 */
export async function atBest(run: () => Promise<readonly Row[]>): Promise<Row[]> {
  const missed: Row[] = [];
  for (let tried = 1; ; tried += 1) {
    const rows = await run();
    const bad = rows.filter((row) => row.verdict === "FAIL");
    if (tried === TRIES || bad.length === 0 || bad.some((row) => !row.chance)) return [...missed, ...rows];
    missed.push(...bad.map((row): Row => ({ ...row, verdict: "again" })));
  }
}

type Column = Exclude<keyof Row, "chance">;
const HEADS: Record<Column, string> = {
  bar: "bar",
  setting: "setting",
  family: "IP",
  quantity: "quantity",
  truth: "truth",
  ours: "ours",
  peer: "best peer",
  verdict: "verdict",
};
const COLUMNS = Object.keys(HEADS) as Column[];

const cell = (row: Row, column: Column): string => (row[column] === null ? "" : String(row[column]));

/** One row for the screen while the run goes on. */
export const line = (row: Row): string => COLUMNS.map((column) => cell(row, column)).join(" | ");

export function table(rows: readonly Row[]): string {
  const width = (column: Column) => Math.max(HEADS[column].length, ...rows.map((row) => cell(row, column).length));
  const widths = new Map(COLUMNS.map((column) => [column, width(column)]));
  const padded = (text: (column: Column) => string) =>
    COLUMNS.map((column) => text(column).padEnd(widths.get(column) ?? 0))
      .join(" | ")
      .trimEnd();
  const rule = COLUMNS.map((column) => "-".repeat(widths.get(column) ?? 0)).join("-|-");
  return [padded((column) => HEADS[column]), rule, ...rows.map((row) => padded((column) => cell(row, column)))].join("\n");
}

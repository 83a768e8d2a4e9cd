// What an upload adds to a client, decided without touching storage. Pure.
import type { RejectedItem } from "#contract/api";
import { LIMITS } from "#contract/limits";
import { type HostSample, hostSampleSchema, type WireResult, wireResultSchema } from "#contract/result";
import type { UploadBody } from "#contract/wire";
import { extendSpark } from "../analysis/headline.ts";
import { gaps } from "../analysis/spans.ts";
import { type Batch, type RingState, UNPLACED } from "../store/ring.ts";
import { rfc3339 } from "../time.ts";

export type Intake =
  /** Everything was stored before. */
  | { kind: "known"; ack: number }
  /** Numbers between the stored ones and this upload are missing. */
  | { kind: "gap"; need: number }
  | { kind: "batch"; batch: Batch };

/**
 * Compares an upload with what is stored. Overlap is cut off; a gap is asked for; every number from last_seq + 1 to
 * `to` ends as a result, a host sample, a dropped range or an item kept aside, so that a bad item blocks nothing.
 */
export function intake(body: UploadBody, lastSeq: number, receivedAt: number): Intake {
  if (body.to <= lastSeq) return { kind: "known", ack: lastSeq };
  if (body.from > lastSeq + 1) return { kind: "gap", need: lastSeq + 1 };
  const from = lastSeq + 1;
  const seen = new Map<number, "kept" | "aside">();
  const batch: Batch = {
    from,
    to: body.to,
    received_at: receivedAt,
    results: [],
    hosts: [],
    rejected: [],
    dropped: [],
    ignored: 0,
  };
  const sort = <Item extends WireResult | HostSample>(
    items: unknown[],
    schema: typeof wireResultSchema | typeof hostSampleSchema,
    keep: (item: Item) => void,
  ) => {
    for (const raw of items) {
      const verdict = check(raw, schema, from, body.to, seen);
      if (verdict.kind === "keep") {
        seen.set(verdict.item.seq, "kept");
        batch.ignored += unknownIn(raw, verdict.item);
        keep(verdict.item as Item);
      } else if (verdict.kind === "aside") {
        if (verdict.seq !== null) seen.set(verdict.seq, "aside");
        batch.rejected.push(aside(verdict.seq, verdict.reason, raw, receivedAt));
      }
    }
  };
  sort<WireResult>(body.results, wireResultSchema, (item) => batch.results.push(item));
  sort<HostSample>(body.hosts, hostSampleSchema, (item) => batch.hosts.push(item));
  batch.results.sort((a, b) => a.seq - b.seq);
  batch.hosts.sort((a, b) => a.seq - b.seq);
  batch.dropped = clip(body.dropped, from, body.to, seen);
  accountForMissing(batch, seen, receivedAt);
  return { kind: "batch", batch };
}

/** The item of a live frame, if it is one this edge can read; the outbox brings it again, and is told then what is wrong. */
export function liveItems(
  frame: { result?: unknown; host?: unknown },
  receivedAt: number,
): Pick<Batch, "results" | "hosts" | "received_at"> {
  const result = wireResultSchema.safeParse(frame.result);
  const host = hostSampleSchema.safeParse(frame.host);
  return { results: result.success ? [result.data] : [], hosts: host.success ? [host.data] : [], received_at: receivedAt };
}

type Verdict =
  | { kind: "keep"; item: WireResult | HostSample }
  | { kind: "aside"; seq: number | null; reason: string }
  | { kind: "skip" };

function check(
  raw: unknown,
  schema: typeof wireResultSchema | typeof hostSampleSchema,
  from: number,
  to: number,
  seen: Map<number, "kept" | "aside">,
): Verdict {
  const seq = seqOf(raw);
  if (seq !== null && seq < from) return { kind: "skip" };
  if (seq === null || seq > to) return { kind: "aside", seq: null, reason: "seq: is missing or outside from..to" };
  if (seen.has(seq)) return { kind: "skip" };
  if (JSON.stringify(raw).length > LIMITS.itemBytes)
    return { kind: "aside", seq, reason: `is larger than ${LIMITS.itemBytes} bytes` };
  const parsed = schema.safeParse(raw);
  if (parsed.success) return { kind: "keep", item: parsed.data };
  const issue = parsed.error.issues[0];
  return { kind: "aside", seq, reason: `${issue?.path.join(".") || "item"}: ${issue?.message ?? "is not valid"}` };
}

/** Fields and metrics that were dropped because this edge does not know them: an agent may be newer. */
function unknownIn(raw: unknown, kept: WireResult | HostSample): number {
  const { metrics = {}, ...fields } = raw as { metrics?: object };
  const dropped = (from: object, known: object) => Object.keys(from).filter((key) => !Object.hasOwn(known, key)).length;
  return dropped(fields, kept) + dropped(metrics, kept.metrics);
}

function seqOf(raw: unknown): number | null {
  if (typeof raw !== "object" || raw === null || !("seq" in raw)) return null;
  return typeof raw.seq === "number" && Number.isSafeInteger(raw.seq) ? raw.seq : null;
}

function aside(seq: number | null, reason: string, raw: unknown, receivedAt: number): RejectedItem {
  const excerpt = JSON.stringify(raw ?? null).slice(0, LIMITS.rejectedExcerptBytes);
  return { seq, received_at: rfc3339(receivedAt), reason: reason.slice(0, 300), excerpt };
}

/** Dropped ranges inside from..to that no item contradicts, without overlap. */
function clip(ranges: [number, number][], from: number, to: number, seen: Map<number, unknown>): [number, number][] {
  const clipped: [number, number][] = [];
  let next = from;
  for (const [start, end] of ranges.toSorted(([a], [b]) => a - b)) {
    const first = Math.max(start, next);
    const last = Math.min(end, to);
    if (first > last) continue;
    const contradicted = [...seen.keys()].some((seq) => seq >= first && seq <= last);
    if (contradicted) continue;
    clipped.push([first, last]);
    next = last + 1;
  }
  return clipped;
}

/**
 * Numbers that came with nothing are accounted for, so that the ledger has no hole: an item that lost its number takes
 * the first free one; a short rest is kept aside one by one, a long one is a dropped range.
 */
function accountForMissing(batch: Batch, seen: Map<number, unknown>, receivedAt: number): void {
  const taken = [...[...seen.keys()].map((seq): [number, number] => [seq, seq]), ...batch.dropped];
  const numberless = batch.rejected.filter((item) => item.seq === null);
  for (let [first, last] of gaps(taken, batch.from, batch.to)) {
    for (; first <= last && numberless.length > 0; first++) {
      const item = numberless.shift();
      if (item !== undefined) item.seq = first;
    }
    if (last - first >= LIMITS.uploadItems) batch.dropped.push([first, last]);
    else for (; first <= last; first++) batch.rejected.push(aside(first, "seq: no item came with this number", null, receivedAt));
  }
}

/** Tests kept in the state while it is not known which ones the client runs. */
export const TESTS_AT_MOST = 200;

/** Entries of the tests a client runs: ids come from the agent, and the state must not grow with what it makes up. */
function ofTests<Value>(
  byTest: Readonly<Record<string, Value>>,
  current: ReadonlySet<string> | undefined,
): Record<string, Value> {
  const entries = Object.entries(byTest);
  return Object.fromEntries(current === undefined ? entries.slice(-TESTS_AT_MOST) : entries.filter(([id]) => current.has(id)));
}

/**
 * Where the client stands once a batch is stored. Pointers to the newest items are set by the ring, which knows the slot.
 * `current` are the tests of its instruction, where one is known.
 */
export function advance(
  before: Readonly<RingState>,
  batch: Batch,
  body: Pick<UploadBody, "boot" | "outbox" | "clock">,
  current: ReadonlySet<string> | undefined,
): RingState {
  const sparks = { ...before.sparks };
  const latest = { ...before.latest };
  for (const result of batch.results) {
    const { test_id } = result;
    if (test_id === null || current?.has(test_id) === false) continue;
    // Agents choose the id: `constructor` must not find what every object inherits.
    const known = Object.hasOwn(sparks, test_id) ? sparks[test_id] : undefined;
    sparks[test_id] = extendSpark(known ?? [], result);
    latest[test_id] = { seq: result.seq, slot: UNPLACED };
  }
  return {
    ...before,
    last_seq: batch.to,
    boot: body.boot,
    rejected: before.rejected + batch.rejected.length,
    ignored: before.ignored + batch.ignored,
    dropped: before.dropped + batch.dropped.reduce((sum, [from, to]) => sum + to - from + 1, 0),
    outbox: body.outbox ?? before.outbox,
    clock_offset_ms: body.clock?.offset_ms ?? before.clock_offset_ms,
    latest: ofTests(latest, current),
    sparks: ofTests(sparks, current),
  };
}

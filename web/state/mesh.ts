// A mesh test as a matrix: who measured whom, and how that compares with what is usual for the two.
import type { SeriesReply, TestDetail } from "#contract/api";
import { isMetricName, METRICS, type MetricName } from "#contract/metrics";
import type { Result } from "#contract/result";
import { isTestTypeName, testType } from "#contract/test-types/index";
import { formatPercent, formatText, inSentence, metricUnit } from "../format.ts";
import { isUp, STATUS_WORD, type Tone } from "../health.ts";
import { lossLevel, lossOf } from "../loss.ts";
import { notMeasured } from "../not-measured.ts";
import { errorWord } from "../run-verdict.ts";
import { plural, type Verdict } from "../verdict.ts";

export type MeshClient = TestDetail["clients"][number];

/** So many times worse than usual stands out, or is bad. */
export const WARN_RATIO = 1.6;
export const BAD_RATIO = 4;
/** A difference of fewer milliseconds is no news, however small the usual value: 0.9 instead of 0.2 ms is a quiet LAN. */
export const LEAST_MS = 5;
/** Fewer results are no baseline. */
const BASELINE_RESULTS = 12;

export interface MeshCell {
  readonly from: { readonly id: string; readonly name: string; readonly site: string };
  readonly to: { readonly id: string; readonly name: string };
  readonly latest: Result | null;
  readonly value: number | null;
  /** Median of the day before; null while there is too little of it. */
  readonly usual: number | null;
  readonly tone: Tone;
  /** Why the tone; empty where all is as usual. */
  readonly why: string;
}

export interface Mesh {
  readonly metric: MetricName | null;
  /** Columns, in the order of the rows. */
  readonly peers: readonly { readonly id: string; readonly name: string }[];
  readonly rows: readonly { readonly client: MeshClient; readonly cells: readonly (MeshCell | null)[] }[];
  readonly leftOut: number;
}

/** What the cells show: the figure the type leads with. */
export const meshMetric = (type: string): MetricName | null =>
  isTestTypeName(type) ? (testType(type).headline[0] ?? null) : null;

export const pairKey = (from: string, to: string) => `${from} ${to}`;

const middle = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? null;

/** What is usual for each pair: the median of its buckets' medians. */
export function baselines(reply: SeriesReply | undefined, metric: string | null): ReadonlyMap<string, number> {
  const usual = new Map<string, number>();
  for (const one of reply?.series ?? []) {
    if (one.peer_id === null || one.metric !== metric) continue;
    const count = one.count.reduce((sum, value) => sum + value, 0);
    const median = middle(one.median.filter((value) => value !== null));
    if (count >= BASELINE_RESULTS && median !== null) usual.set(pairKey(one.client_id, one.peer_id), median);
  }
  return usual;
}

/** How many times worse `value` is than `usual`; 1 is as usual, 0 where there is nothing to compare. */
export function worsening(metric: MetricName, value: number, usual: number): number {
  if (usual <= 0 || value < 0) return 0;
  if (METRICS[metric].better === "higher") return value === 0 ? Number.POSITIVE_INFINITY : usual / value;
  if (METRICS[metric].better === "neither") return value === usual ? 1 : 0;
  return metricUnit(metric) === "ms" && value - usual < LEAST_MS ? 1 : value / usual;
}

interface Judged {
  readonly tone: Tone;
  readonly why: string;
}

function judge(
  client: MeshClient,
  latest: Result | null,
  metric: MetricName | null,
  value: number | null,
  usual: number | null,
): Judged {
  if (latest === null) return { tone: "none", why: "not measured yet" };
  if (!isUp(client.status))
    return { tone: "none", why: `${client.name} is ${STATUS_WORD[client.status]}; this is the last it measured` };
  // Nothing of the pair is known, so it is neither well nor failing.
  const unmeasured = notMeasured(latest);
  if (unmeasured) return { tone: "none", why: `not measured: ${unmeasured.why}` };
  if (latest.status === "failed") return { tone: "bad", why: latest.error ? errorWord(latest.error.code) : "failed" };
  const loss = lossOf(latest.metrics);
  const level = lossLevel(loss);
  const lost = `${formatPercent(loss ?? 0)} % lost`;
  if (level === "high") return { tone: "bad", why: lost };
  const times = metric === null || value === null || usual === null ? 0 : worsening(metric, value, usual);
  const compared = metric === null ? "" : `usually ${formatText(metric, usual)}`;
  if (times >= BAD_RATIO) return { tone: "bad", why: compared };
  if (level === "low" || level === "mid") return { tone: "warn", why: lost };
  if (times >= WARN_RATIO) return { tone: "warn", why: compared };
  if (value === null) return { tone: "warn", why: "not measured in the last run" };
  return { tone: "ok", why: "" };
}

function cellOf(
  client: MeshClient,
  peer: MeshClient["peers"][number],
  metric: MetricName | null,
  usual: number | null,
): MeshCell {
  const found = metric === null ? null : peer.latest?.metrics[metric];
  const value = typeof found === "number" ? found : null;
  const { id, name, site } = client;
  const judged = judge(client, peer.latest, metric, value, usual);
  return { from: { id, name, site }, to: { id: peer.peer_id, name: peer.name }, latest: peer.latest, value, usual, ...judged };
}

const bySiteAndName = (a: { site: string; name: string }, b: { site: string; name: string }) =>
  a.site.localeCompare(b.site) || a.name.localeCompare(b.name);

/** Rows and columns in the same order: by site, then by name; a peer that measures nobody comes last. */
export function meshOf(test: Pick<TestDetail, "type" | "clients">, usual: ReadonlyMap<string, number>): Mesh {
  const metric = meshMetric(test.type);
  const clients = test.clients.toSorted(bySiteAndName);
  const order = new Map(clients.map(({ id, name }) => [id, { id, name }]));
  for (const { peers } of clients) {
    for (const { peer_id, name } of peers) if (!order.has(peer_id)) order.set(peer_id, { id: peer_id, name });
  }
  const measured = new Set(clients.flatMap(({ peers }) => peers.map(({ peer_id }) => peer_id)));
  const columns = [...order.values()].filter(({ id }) => measured.has(id));
  const rows = clients.map((client) => {
    const byPeer = new Map(client.peers.map((peer) => [peer.peer_id, peer]));
    const cells = columns.map(({ id }) => {
      const peer = byPeer.get(id);
      return peer ? cellOf(client, peer, metric, usual.get(pairKey(client.id, id)) ?? null) : null;
    });
    return { client, cells };
  });
  return { metric, peers: columns, rows, leftOut: Math.max(0, ...clients.map((client) => client.peers_left_out)) };
}

const SEVERITY: Record<Tone, number> = { bad: 3, warn: 2, ok: 1, none: 0 };

/** How far a cell is from what is usual, to find the worst of several. */
const distance = ({ value, usual }: MeshCell) =>
  value === null || usual === null || usual <= 0 ? 0 : Math.max(value / usual, usual / value);

const worstCell = (cells: readonly MeshCell[]): MeshCell | null =>
  cells.toSorted((a, b) => SEVERITY[b.tone] - SEVERITY[a.tone] || distance(b) - distance(a))[0] ?? null;

const allCells = ({ rows }: Mesh) => rows.flatMap(({ cells }) => cells.filter((cell) => cell !== null));

/** The pair to open first: the worst one. */
export const firstPair = (mesh: Mesh): MeshCell | null => worstCell(allCells(mesh).filter(({ latest }) => latest !== null));

export const pairText = ({ from, to }: Pick<MeshCell, "from" | "to">) => `${inSentence(from.name)} → ${inSentence(to.name)}`;

/** What the newest run says, with what sets it apart from the pair's usual value. */
export function pairVerdict(run: Verdict, cell: Pick<MeshCell, "tone" | "why"> | null): Verdict {
  if (cell === null || SEVERITY[cell.tone] <= SEVERITY[run.tone]) return run;
  return { tone: cell.tone, text: `${run.text} It stands out: ${cell.why}.` };
}

/** The cell of two clients. */
export const cellAt = (mesh: Mesh, from: string, to: string | null): MeshCell | null =>
  allCells(mesh).find((cell) => cell.from.id === from && cell.to.id === to) ?? null;

/** The mesh in a sentence. */
export function meshVerdict(mesh: Mesh): Verdict {
  const cells = allCells(mesh);
  const known = cells.filter(({ latest, tone }) => latest !== null && tone !== "none");
  if (cells.length === 0) return { tone: "none", text: "A mesh needs two clients that answer each other; there is no pair yet." };
  if (known.length === 0) return { tone: "none", text: `None of the ${plural(cells.length, "pair")} has been measured lately.` };
  const bad = known.filter(({ tone }) => tone === "bad");
  const odd = known.filter(({ tone }) => tone === "bad" || tone === "warn");
  const worst = worstCell(odd);
  const waiting = cells.length - known.length;
  const rest = waiting > 0 ? ` ${waiting === 1 ? "1 pair has" : `${waiting} pairs have`} no current result.` : "";
  if (worst === null) return { tone: "ok", text: `All ${plural(known.length, "measured pair")} answer as usual.${rest}` };
  const figure = worst.value === null || mesh.metric === null ? "" : `${formatText(mesh.metric, worst.value)}, `;
  const many = `${odd.length} of ${plural(known.length, "pair")} ${odd.length === 1 ? "stands" : "stand"} out`;
  return {
    tone: bad.length > 0 ? "bad" : "warn",
    text: `${many}; the worst is ${pairText(worst)}: ${figure}${worst.why}.${rest}`,
  };
}

export const meshUnit = (metric: MetricName | null): string =>
  metric !== null && isMetricName(metric) ? metricUnit(metric) : "";

export interface SiteCell {
  readonly worst: MeshCell | null;
  readonly pairs: number;
}

/** The same matrix by site, each cell its worst pair: for more clients than fit beside each other. */
export function bySite(
  mesh: Mesh,
  siteOf: ReadonlyMap<string, string>,
): { sites: string[]; cells: ReadonlyMap<string, SiteCell> } {
  const groups = Map.groupBy(allCells(mesh), ({ from, to }) => pairKey(from.site, siteOf.get(to.id) ?? ""));
  const cells = new Map([...groups].map(([key, members]) => [key, { worst: worstCell(members), pairs: members.length }]));
  const sites = new Set(allCells(mesh).flatMap(({ from, to }) => [from.site, siteOf.get(to.id) ?? ""]));
  return { sites: [...sites].sort((a, b) => a.localeCompare(b)), cells };
}

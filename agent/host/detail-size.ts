// A sample's detail within what one item may hold: a server with hundreds of processors, disks and sensors would lose all of it else.
import type { HostDetail } from "#contract/host-detail";
import { LIMITS } from "#contract/limits";

/** What metrics, reasons, the inventory and the agent's own part take of an item, bytes. */
const REST_BYTES = 20 * 1024;

const sizeOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value) ?? "");

/** Rows of a list that its readers take (host-detail.ts). */
const ROWS = 256;

/** The detail, the ends of its largest lists left out as far as it has to be; `cut` says whether anything is missing. */
export function fitDetail(detail: HostDetail, most = LIMITS.itemBytes - REST_BYTES): { detail: HostDetail; cut: boolean } {
  const parts: [string, unknown][] = Object.entries(detail);
  const isList = (part: unknown): part is unknown[] => Array.isArray(part);
  const lists = new Map(parts.flatMap(([name, part]) => (isList(part) ? [[name, part] as const] : [])));
  const isLong = [...lists.values()].some((list) => list.length > ROWS);
  let size = sizeOf(detail);
  if (size <= most && !isLong) return { detail, cut: false };
  for (const [name, list] of lists) lists.set(name, list.slice(0, ROWS));
  size = sizeOf({ ...detail, ...Object.fromEntries(lists) });
  const sizes = new Map([...lists].map(([name, list]) => [name, sizeOf(list)]));
  while (size > most) {
    const [name, bytes] = [...sizes].reduce((largest, each) => (each[1] > largest[1] ? each : largest), ["", 0]);
    const list = lists.get(name);
    if (list === undefined || list.length === 0) break;
    const shorter = list.slice(0, Math.floor(list.length * 0.75));
    const left = sizeOf(shorter);
    lists.set(name, shorter);
    sizes.set(name, left);
    size -= bytes - left;
  }
  return { detail: { ...detail, ...Object.fromEntries(lists) }, cut: true };
}

// Which of the things known of an upload's receiver its rate is told from. Never what was written here: that is only on its way. Pure.
import type { Curve } from "./slices.ts";
import type { UploadCurves } from "./stream.ts";

/** Who counted: this host read them, the server's counts, what the kernel saw acknowledged, requests the server has answered. */
export type CountSource = "read" | "server" | "kernel" | "answers";

export interface KnownCurves {
  readonly curves: readonly Curve[];
  /** Up to when every connection in use is known, monotonic ms. */
  readonly until: number;
  readonly by: CountSource;
}

interface Uploading {
  readonly loaded: boolean;
  readonly upload: UploadCurves;
}

/** The moment up to which all of these are known; a curve without points has not begun. */
const knownUntil = (newest: readonly (Curve | undefined)[]): number =>
  newest.reduce((least, curve) => Math.min(least, curve?.last ?? Number.POSITIVE_INFINITY), Number.POSITIVE_INFINITY);

/** The receiver's own counts where every connection has them and none lies, else the kernel's, else whole answers. */
export function uploadCurves(streams: readonly Uploading[], kernel: boolean): KnownCurves {
  const active = streams.filter(({ loaded }) => loaded).map(({ upload }) => upload);
  const readers = active.map(({ server }) => server);
  const counted = readers.length > 0 && readers.every((each) => each.some(({ good }) => good));
  if (counted && !readers.flat().some(({ broken }) => broken)) {
    const good = readers.map((each) => each.filter((reader) => reader.good).map((reader) => reader.curve()));
    return { curves: good.flat(), until: knownUntil(good.map((curves) => curves.at(-1))), by: "server" };
  }
  const acked = active.map((upload) => [...upload.kernel.values()].filter(({ length }) => length > 1));
  if (kernel && acked.some((curves) => curves.length > 0)) {
    return { curves: acked.flat(), until: knownUntil(acked.map((curves) => curves.at(-1))), by: "kernel" };
  }
  const answered = active.map((upload) => upload.answered);
  return { curves: answered, until: knownUntil(answered), by: "answers" };
}

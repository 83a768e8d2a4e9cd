// Reads what `tracepath -n` says about the path MTU (iputils). Text in, facts out; a line without its end is ignored.

export interface TracepathMtu {
  /** The target itself answered, so packets of the last size came through. */
  readonly reached: boolean;
  /** The last path MTU it settled on, bytes. */
  readonly pmtu: number | null;
  /** Who made it lower the size, in order; `from` is null where this host's own kernel did. */
  readonly limits: readonly { readonly from: string | null; readonly mtu: number }[];
  /** Hops to the target by its own count. */
  readonly hops: number | null;
}

const LINE = /^ ?\d{1,2}\??: +(\[LOCALHOST\]|[0-9A-Fa-f:.]{2,45}) .*?pmtu (\d{2,6})\s*$/;
const RESUME = /^ {5}Resume: pmtu (\d{2,6})(?: hops (\d{1,3}) back \d{1,3})?\s*$/;
const REACHED = /^ ?\d{1,2}\??: +[0-9A-Fa-f:.]{2,45} .*\breached\s*$/;

/** Facts of one run; `pmtu` is null when it printed none. */
export function parseTracepathMtu(stdout: string): TracepathMtu {
  const lines = stdout.split("\n").slice(0, -1);
  const limits: { from: string | null; mtu: number }[] = [];
  let pmtu: number | null = null;
  let hops: number | null = null;
  for (const line of lines) {
    const limit = LINE.exec(line);
    if (limit !== null) limits.push({ from: limit[1] === "[LOCALHOST]" ? null : (limit[1] ?? null), mtu: Number(limit[2]) });
    const resume = RESUME.exec(line);
    if (resume === null) continue;
    pmtu = Number(resume[1]);
    hops = resume[2] === undefined ? null : Number(resume[2]);
  }
  return { reached: lines.some((line) => REACHED.test(line)), pmtu: pmtu ?? limits.at(-1)?.mtu ?? null, limits, hops };
}

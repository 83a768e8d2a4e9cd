// Space and inodes of the file systems, by statfs(2).
import { statfs } from "node:fs/promises";
import type { MetricSheet } from "../probes/probe.ts";
import { round3 } from "../statistics.ts";
import type { Mount } from "./parse-proc.ts";

export interface FileSystem {
  readonly mount: string;
  readonly type: string;
  readonly total_bytes: number;
  readonly used_bytes: number;
  /** As df says it: used over used plus what an unprivileged user may still write. */
  readonly used_pct: number;
  /** null where the file system has no fixed number of inodes. */
  readonly inodes_used_pct: number | null;
}

async function measure(mount: Mount): Promise<FileSystem | undefined> {
  try {
    const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(mount.path);
    const used = blocks - bfree;
    if (blocks <= 0 || used + bavail <= 0) return undefined;
    return {
      mount: mount.path,
      type: mount.type,
      total_bytes: blocks * bsize,
      used_bytes: used * bsize,
      used_pct: round3((100 * used) / (used + bavail)),
      inodes_used_pct: files > 0 ? round3((100 * (files - ffree)) / files) : null,
    };
  } catch {
    // Unmounted or not readable since the list was made: then it is not in the list.
    return undefined;
  }
}

/** Measures the mounts; the fullest one gives the scalars. */
export async function fileSystems(sheet: MetricSheet, mounts: readonly Mount[]): Promise<FileSystem[]> {
  const all = (await Promise.all(mounts.map(measure))).filter((fs) => fs !== undefined);
  const fullest = [...all].sort((a, b) => b.used_pct - a.used_pct)[0];
  const inodes = all.map((fs) => fs.inodes_used_pct).filter((share) => share !== null);
  sheet.set("fs_used_pct", fullest?.used_pct, "unsupported");
  sheet.set("fs_used_bytes", fullest?.used_bytes, "unsupported");
  sheet.set("fs_total_bytes", fullest?.total_bytes, "unsupported");
  sheet.set("fs_inodes_used_pct", inodes.length > 0 ? Math.max(...inodes) : undefined, "unsupported");
  return all;
}

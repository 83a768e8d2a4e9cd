// Space and inodes of the file systems, by statfs(2).
import { statfs } from "node:fs/promises";
import type { FileSystem } from "#contract/host-detail";
import type { MetricSheet } from "../probes/probe.ts";
import { round3 } from "../statistics.ts";
import type { Mount } from "./parse-disks.ts";
import { inTime } from "./patience.ts";

/** As many as a sample's detail holds. */
const MOST = 64;
/** Characters of a mount point that are told. */
const LONGEST_PATH = 300;

async function measure(mount: Mount): Promise<FileSystem | undefined> {
  const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(mount.path);
  const used = blocks - bfree;
  if (blocks <= 0 || used + bavail <= 0) return undefined;
  return {
    mount: mount.path.slice(0, LONGEST_PATH),
    type: mount.type,
    total_bytes: blocks * bsize,
    used_bytes: used * bsize,
    // As df says it: used over used plus what an unprivileged user may still write.
    used_pct: round3((100 * used) / (used + bavail)),
    // Some file systems have no fixed number of inodes.
    inodes_used_pct: files > 0 ? round3((100 * (files - ffree)) / files) : null,
    read_only: mount.readOnly ?? null,
  };
}

export class FileSystems {
  /** Mounts whose answer has not come yet: asking them again would only take another of Node's few threads. */
  readonly #hanging = new Set<string>();

  /**
   * Measures the mounts; the fullest one gives the scalars. `writable` are the mount points meant to be written to: one that
   * cannot be has become read-only, just as one that stopped by itself.
   */
  async read(sheet: MetricSheet, mounts: readonly Mount[], writable: ReadonlySet<string> = new Set()): Promise<FileSystem[]> {
    const measured = await Promise.all(mounts.slice(0, MOST).map((mount) => this.#measure(mount)));
    const all = measured.filter((fs) => fs !== undefined);
    const fullest = all.reduce<FileSystem | undefined>(
      (most, fs) => (fs.used_pct > (most?.used_pct ?? -1) ? fs : most),
      undefined,
    );
    const inodes = all.map((fs) => fs.inodes_used_pct).filter((share) => share !== null);
    const reason = this.#hanging.size > 0 ? "timeout" : "unsupported";
    sheet.set("fs_used_pct", fullest?.used_pct, reason);
    sheet.set("fs_used_bytes", fullest?.used_bytes, reason);
    sheet.set("fs_total_bytes", fullest?.total_bytes, reason);
    sheet.set("fs_inodes_used_pct", inodes.length > 0 ? Math.max(...inodes) : undefined, reason);
    const told = mounts.filter((mount) => mount.readOnly !== undefined);
    const became = told.some((mount) => mount.failed === true || (mount.readOnly === true && writable.has(mount.path)));
    sheet.set("fs_readonly", told.length === 0 ? undefined : became, "unsupported");
    return all;
  }

  async #measure(mount: Mount): Promise<FileSystem | undefined> {
    if (this.#hanging.has(mount.path)) return undefined;
    this.#hanging.add(mount.path);
    // A mount that is gone since the list was made, or not readable, is not in the list.
    const answer = measure(mount)
      .catch(() => undefined)
      .finally(() => this.#hanging.delete(mount.path));
    return inTime(answer);
  }
}

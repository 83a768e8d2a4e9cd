// Reads what Linux says about disks and mounts: text in, figures out.

export interface DiskCounters {
  readonly reads: number;
  readonly readBytes: number;
  readonly writes: number;
  readonly writtenBytes: number;
}

/** Milliseconds, of 32 bits even where the kernel has 64: they wrap after 50 days of work. */
export interface DiskTimes {
  /** Requests' time from being asked to being done, summed. */
  readonly readMs: number;
  readonly writeMs: number;
  /** With at least one request in flight. */
  readonly busyMs: number;
  /** Busy time times the requests in flight. */
  readonly queuedMs: number;
}

export interface DiskLook {
  readonly name: string;
  readonly counters: DiskCounters;
  readonly times: DiskTimes;
}

/** Counters since boot by block device (Documentation/admin-guide/iostats.rst); a sector is 512 bytes whatever the disk says. */
export function parseDiskstats(text: string): DiskLook[] {
  return text.split("\n").flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const name = fields[2];
    const figures = fields.slice(3, 14).map(Number);
    if (name === undefined || figures.length < 11 || !figures.every(Number.isFinite)) return [];
    const [reads = 0, , sectorsRead = 0, readMs = 0, writes = 0, , sectorsWritten = 0, writeMs = 0, , busyMs = 0, queuedMs = 0] =
      figures;
    return [
      {
        name,
        counters: { reads, readBytes: sectorsRead * 512, writes, writtenBytes: sectorsWritten * 512 },
        times: { readMs, writeMs, busyMs, queuedMs },
      },
    ];
  });
}

export interface Mount {
  readonly device: string;
  readonly path: string;
  readonly type: string;
  /** Absent where the system does not tell. */
  readonly readOnly?: boolean;
  /** The mount allows writing and the file system itself refuses: it found errors and stopped. */
  readonly failed?: boolean;
}

const REAL_TYPES = /^(ext[234]|xfs|btrfs|zfs|f2fs|jfs|reiserfs|vfat|exfat|ntfs3?|fuseblk|bcachefs|nilfs2|ubifs)$/;
/** Files a container runtime mounts from the host's disk. */
const CONTAINER_FILES = /^\/etc\/(hosts|hostname|resolv\.conf)$/;

const unescaped = (path: string): string =>
  path.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/**
 * Local file systems worth watching, each once (a bind mount is no second disk), from proc_pid_mountinfo(5). Pseudo, network
 * (their statfs can hang) and image file systems (squashfs, iso9660: read-only by nature) are left out, and so is what lies on
 * a loop device; an overlay only counts as a container's root.
 *
 * A file system that meets errors turns read-only by itself: ext4, btrfs, f2fs and vfat set that on the superblock and leave
 * the mount as it was, while somebody who mounts or remounts read-only sets both. Linux 6.15 and later names it for ext4.
 */
export function parseMountinfo(text: string): Mount[] {
  const found = new Map<string, { mount: Mount; rank: number }>();
  for (const line of text.split("\n")) {
    const [before = "", after] = line.split(" - ", 2);
    const [, , number, root, rawPath, options] = before.split(" ");
    const [type, device, state] = (after ?? "").split(" ");
    if (number === undefined || rawPath === undefined || options === undefined || type === undefined) continue;
    if (device === undefined || state === undefined) continue;
    const path = unescaped(rawPath);
    const real = REAL_TYPES.test(type) && !device.startsWith("/dev/loop");
    if (!(real || (path === "/" && type === "overlay")) || CONTAINER_FILES.test(path)) continue;
    const mountRo = options.split(",").includes("ro");
    const states = state.split(",");
    const stopped = states.includes("emergency_ro") || states.includes("shutdown");
    const readOnly = mountRo || states.includes("ro") || stopped;
    const mount = { device, path, type, readOnly, failed: readOnly && !mountRo };
    // The whole file system before a directory of it, then the shortest path.
    const rank = (root === "/" ? 0 : 10_000) + path.length;
    const other = found.get(number);
    if (other === undefined || rank < other.rank) found.set(number, { mount, rank });
  }
  return [...found.values()].map((each) => each.mount);
}

/** Mount points that fstab(5) wants written to. */
export function writableByFstab(text: string): ReadonlySet<string> {
  const paths = text.split("\n").flatMap((line) => {
    const [device = "", path, , options] = line.trim().split(/\s+/);
    if (device.startsWith("#") || path === undefined || options === undefined) return [];
    return options.split(",").some((option) => option === "ro" || option === "noauto") ? [] : [unescaped(path)];
  });
  return new Set(paths);
}

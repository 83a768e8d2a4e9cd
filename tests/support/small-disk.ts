// A small file system of its own, mounted for a test: it can be filled, broken and mended. Needs root on Linux.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

export type DiskKind = "tmpfs" | "ext4";

const run = (file: string, ...args: string[]): string => execFileSync(file, args, { encoding: "utf8", stdio: "pipe" });

export class SmallDisk {
  readonly path = mkdtempSync(join(tmpdir(), "streamswarm-disk-"));
  readonly #kind: DiskKind;
  readonly #bytes: number;
  readonly #image = `${this.path}.img`;

  /** Throws where this process may not mount. ext4 goes read-only at an error, as installers set it up. */
  constructor(kind: DiskKind, bytes: number) {
    this.#kind = kind;
    this.#bytes = bytes;
    if (kind === "ext4") {
      writeFileSync(this.#image, "");
      truncateSync(this.#image, bytes);
      run("mkfs.ext4", "-q", "-F", this.#image);
    }
    try {
      this.mount();
    } catch (error) {
      this.#forget();
      throw error;
    }
  }

  mount(): void {
    if (this.#kind === "tmpfs") run("mount", "-t", "tmpfs", "-o", `size=${this.#bytes}`, "tmpfs", this.path);
    else run("mount", "-o", "loop,errors=remount-ro", this.#image, this.path);
  }

  /** Bytes left. */
  get free(): number {
    const { bavail, bsize } = statfsSync(this.path);
    return bavail * bsize;
  }

  get total(): number {
    const { blocks, bsize } = statfsSync(this.path);
    return blocks * bsize;
  }

  /** Writes until nothing goes in any more. */
  fill(): void {
    try {
      run("dd", "if=/dev/zero", `of=${join(this.path, "filler")}`, "bs=1k", "conv=notrunc", "oflag=append");
    } catch {
      // dd ends with an error when the disk is full, which is what it is for.
    }
    if (this.free > 0) throw new Error(`${this.free} bytes are still free`);
  }

  /** Removes what fill() wrote. */
  clear(): void {
    this.remove("filler");
  }

  remove(file: string): void {
    rmSync(join(this.path, file), { force: true });
  }

  /** ext4: the kernel meets an error and lets nothing more be written, whoever has files open. */
  breakDown(): void {
    const device = basename(run("findmnt", "-no", "SOURCE", this.path).trim());
    writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, "test");
  }

  /** ext4: checked and mounted again; nobody may have files open. */
  mend(): void {
    run("umount", this.path);
    try {
      run("e2fsck", "-f", "-y", this.#image);
    } catch (error) {
      // 1: errors were corrected.
      if ((error as { status?: number }).status !== 1) throw error;
    }
    this.mount();
  }

  dispose(): void {
    run("umount", "--lazy", this.path);
    this.#forget();
  }

  #forget(): void {
    rmSync(this.path, { recursive: true, force: true });
    rmSync(this.#image, { force: true });
  }
}

/** Why a test that needs such a disk cannot run here, or undefined. */
export function cannotMount(kind: DiskKind): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "needs root on Linux";
  try {
    new SmallDisk(kind, 4 * 1024 * 1024).dispose();
    return undefined;
  } catch (error) {
    return String(error);
  }
}

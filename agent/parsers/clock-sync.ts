// What time daemons say about this host's clock: chronyc, timedatectl, ntpq. Pure.

/** A clock that a daemon keeps. */
export interface SyncState {
  readonly source: "chrony" | "systemd" | "ntpd";
  /** Bound of the clock's error, milliseconds. */
  readonly error_ms: number;
}

interface SyncTool {
  readonly name: string;
  readonly args: readonly string[];
  /** The clock as this tool describes it; null when it is not kept, or the text says nothing. */
  parse(stdout: string): SyncState | null;
}

const finite = (text: string | undefined): number | undefined => {
  const value = text === undefined || text.trim() === "" ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : undefined;
};

/**
 * `chronyc -c tracking`: reference id, name, stratum, reference time, system time, last offset, RMS offset, frequency, residual
 * frequency, skew, root delay, root dispersion, update interval, leap status. Seconds. The bound is the one of its manual:
 * |system time| + root dispersion + half the root delay.
 */
export function parseChronyTracking(stdout: string): SyncState | null {
  const fields = stdout.trim().split(",");
  if (fields.length !== 14) return null;
  const [stratum, off, delay, dispersion] = [fields[2], fields[4], fields[10], fields[11]].map(finite);
  const leap = fields[13];
  if (leap === "Not synchronised" || !["Normal", "Insert second", "Delete second"].includes(leap ?? "")) return null;
  if (stratum === undefined || stratum < 1 || stratum > 15) return null;
  if (off === undefined || delay === undefined || dispersion === undefined || delay < 0 || dispersion < 0) return null;
  return { source: "chrony", error_ms: (Math.abs(off) + dispersion + delay / 2) * 1000 };
}

/** systemd-timesyncd sets a clock that is further off than this and slews one that is nearer, ms; it states no bound. */
const SYSTEMD_ERROR_MS = 400;

/** `timedatectl show -p NTPSynchronized`: the kernel's word on whether its clock is kept. */
export function parseTimedatectl(stdout: string): SyncState | null {
  return /^NTPSynchronized=yes$/m.test(stdout) ? { source: "systemd", error_ms: SYSTEMD_ERROR_MS } : null;
}

/** `ntpq -c rv`: system variables of ntpd, milliseconds. Leap 00, 01 and 10 mean synchronised (RFC 5905 section 7.3). */
export function parseNtpq(stdout: string): SyncState | null {
  const value = (name: string) => new RegExp(`(?:^|[\\s,])${name}=([^,\\s]+)`).exec(stdout)?.[1];
  const leap = value("leap") ?? /\bleap_(none|add_sec|del_sec|alarm)\b/.exec(stdout)?.[1];
  const [stratum, off, delay, dispersion] = [value("stratum"), value("offset"), value("rootdelay"), value("rootdisp")].map(
    finite,
  );
  if (!["00", "01", "10", "none", "add_sec", "del_sec"].includes(leap ?? "")) return null;
  if (stratum === undefined || stratum < 1 || stratum > 15) return null;
  if (off === undefined || delay === undefined || dispersion === undefined || delay < 0 || dispersion < 0) return null;
  return { source: "ntpd", error_ms: Math.abs(off) + dispersion + delay / 2 };
}

export const CHRONYC: SyncTool = { name: "chronyc", args: ["-n", "-c", "tracking"], parse: parseChronyTracking };
export const TIMEDATECTL: SyncTool = { name: "timedatectl", args: ["show", "-p", "NTPSynchronized"], parse: parseTimedatectl };
export const NTPQ: SyncTool = { name: "ntpq", args: ["-n", "-c", "rv"], parse: parseNtpq };

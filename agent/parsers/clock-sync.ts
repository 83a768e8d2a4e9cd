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

/** RFC 5905 appendix A.1: strata of synchronised clocks. */
const isSynced = (stratum: number | undefined): boolean => stratum !== undefined && stratum >= 1 && stratum <= 15;

/** What all parts of an error add up to, all in one unit; undefined where one is missing or absurd. */
function bound(off: number | undefined, delay: number | undefined, dispersion: number | undefined): number | undefined {
  if (off === undefined || delay === undefined || dispersion === undefined || delay < 0 || dispersion < 0) return undefined;
  const sum = Math.abs(off) + dispersion + delay / 2;
  return sum < ABSURD ? sum : undefined;
}

/** No clock that is off by more is worth the name, seconds or milliseconds. */
const ABSURD = 1e6;

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
  const error_s = bound(off, delay, dispersion);
  return isSynced(stratum) && error_s !== undefined ? { source: "chrony", error_ms: error_s * 1000 } : null;
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
  const error_ms = bound(off, delay, dispersion);
  return isSynced(stratum) && error_ms !== undefined ? { source: "ntpd", error_ms } : null;
}

export const CHRONYC: SyncTool = { name: "chronyc", args: ["-n", "-c", "tracking"], parse: parseChronyTracking };
export const TIMEDATECTL: SyncTool = { name: "timedatectl", args: ["show", "-p", "NTPSynchronized"], parse: parseTimedatectl };
export const NTPQ: SyncTool = { name: "ntpq", args: ["-n", "-c", "rv"], parse: parseNtpq };

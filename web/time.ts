// Points in time, in the viewer's time zone.

export const TIME_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const seconds = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dayClock = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const full = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });

const DAY_MS = 86_400_000;

export const clockTime = (ms: number) => seconds.format(ms);
/** "14:02" */
export const hourText = (ms: number) => clock.format(ms);
export const dateText = (ms: number) => day.format(ms);
/** "3 Nov 2026, 14:02", for dates that may be years away. */
export const calendarText = (ms: number) => calendar.format(ms);
export const fullTime = (ms: number) => full.format(ms);

/** "14:02" today, "3 Nov, 14:02" before. */
export function sinceText(ms: number, now: number): string {
  const sameDay = new Date(ms).toDateString() === new Date(now).toDateString();
  return sameDay ? clock.format(ms) : dayClock.format(ms);
}

/** Time on a chart that spans `spanMs`: seconds matter on short ones. */
export function cursorText(ms: number, spanMs: number): string {
  if (spanMs <= DAY_MS / 4) return seconds.format(ms);
  return dayClock.format(ms);
}

/** "now", "12 s ago", "14 min ago", "3 h ago", "5 d ago". */
export function agoText(ms: number, now: number): string {
  const age = Math.max(0, Math.round((now - ms) / 1000));
  if (age < 10) return "now";
  if (age < 60) return `${age} s ago`;
  if (age < 3600) return `${Math.floor(age / 60)} min ago`;
  if (age < 86_400) return `${Math.floor(age / 3600)} h ago`;
  return `${Math.floor(age / 86_400)} d ago`;
}

/** "14 min": how long something has been so; empty in its first seconds. */
export const spanText = (ms: number, now: number) => agoText(ms, now).replace(/ ago$|^now$/, "");

/** "10 s", "5 min", "1 h" for intervals. */
export function intervalText(s: number): string {
  if (s % 3600 === 0) return `${s / 3600} h`;
  if (s % 60 === 0) return `${s / 60} min`;
  return `${s} s`;
}

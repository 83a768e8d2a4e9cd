// When a test may run: its start, its length, and windows in an office's own time zone. Pure.
import type { Schedule } from "#contract/wire";

const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;
type Day = (typeof DAYS)[number];

const formats = new Map<string, Intl.DateTimeFormat>();

/** Weekday and minute of the day in a time zone. Throws RangeError for a zone that does not exist. */
function localTime(at: number, timeZone: string): { day: Day; minute: number } {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone,
      weekday: "short",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    });
    formats.set(timeZone, format);
  }
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]));
  const day = DAYS.find((name) => name === parts.get("weekday")?.toLowerCase()) ?? "sun";
  return { day, minute: Number(parts.get("hour")) * 60 + Number(parts.get("minute")) };
}

const minuteOf = (clock: string): number => Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3));

type Window = NonNullable<Schedule["windows"]>[number];

/** Whether the moment is in the window. One that ends before it begins runs past midnight into the next day. */
function inWindow(window: Window, at: number): boolean {
  const { day, minute } = localTime(at, window.time_zone);
  const from = minuteOf(window.from);
  const to = minuteOf(window.to);
  const yesterday = DAYS[(DAYS.indexOf(day) + 6) % 7] ?? "sat";
  if (from < to) return window.days.includes(day) && minute >= from && minute < to;
  return (window.days.includes(day) && minute >= from) || (window.days.includes(yesterday) && minute < to);
}

/** What is wrong with a schedule this host cannot follow, or undefined. */
export function scheduleProblem(schedule: Schedule | null): string | undefined {
  for (const { time_zone } of schedule?.windows ?? []) {
    try {
      localTime(0, time_zone);
    } catch {
      return `schedule.windows: this host does not know the time zone '${time_zone}'`;
    }
  }
  return undefined;
}

/** Whether a test may run at `at` (epoch ms). A length without a start counts from `since`, when the agent first had the test. */
export function allowedAt(schedule: Schedule | null, at: number, since: number): boolean {
  if (schedule === null) return true;
  const start = schedule.start_at === undefined ? since : Date.parse(schedule.start_at);
  if (schedule.start_at !== undefined && at < start) return false;
  if (schedule.duration_s !== undefined && at >= start + schedule.duration_s * 1000) return false;
  const { windows } = schedule;
  if (windows === undefined || windows.length === 0) return true;
  return windows.some((window) => inWindow(window, at));
}

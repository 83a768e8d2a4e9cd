// Log lines: JSON on standard error, or one readable line each on a terminal. Tokens never pass through here.
import pino, { type Logger } from "pino";

export type Log = Logger;

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const NAMES: Readonly<Record<number, string>> = { 10: "trace", 20: "debug", 30: "info ", 40: "warn ", 50: "error", 60: "fatal" };

/** One pino line for people: time, level, message, then what else it holds. */
export function readableLine(line: string): string {
  try {
    const { level, time, msg, ...rest } = JSON.parse(line) as Record<string, unknown>;
    const clock = new Date(Number(time)).toISOString().slice(11, 19);
    const extra = Object.entries(rest).map(
      ([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
    );
    return `${[clock, NAMES[Number(level)] ?? String(level), String(msg ?? ""), ...extra].join(" ")}\n`;
  } catch {
    return line;
  }
}

/** The agent's logger. */
export function createLog(level: LogLevel): Log {
  const write = (line: string) => process.stderr.write(process.stderr.isTTY ? readableLine(line) : line);
  return pino({ level, base: null }, { write });
}

// Log lines: JSON on standard error, or one readable line each on a terminal. Tokens never pass through here.

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** As most log readers number them. */
const NUMBERS = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60, silent: Number.POSITIVE_INFINITY } as const;
const NAMES: Readonly<Record<number, string>> = { 10: "trace", 20: "debug", 30: "info ", 40: "warn ", 50: "error", 60: "fatal" };

/** Writes a message, with fields before it where there are any. */
export type LogLine = (...said: [message: string] | [fields: Readonly<Record<string, unknown>>, message: string]) => void;
export type Log = Readonly<Record<"trace" | "debug" | "info" | "warn" | "error" | "fatal", LogLine>>;

/** One log line for people: time, level, message, then what else it holds. */
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
  const at = (name: keyof Log): LogLine => {
    if (NUMBERS[name] < NUMBERS[level]) return () => {};
    return (...said) => {
      const [fields, msg] = said.length === 1 ? [{}, said[0]] : said;
      write(`${JSON.stringify({ level: NUMBERS[name], time: Date.now(), ...fields, msg })}\n`);
    };
  };
  return { trace: at("trace"), debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), fatal: at("fatal") };
}

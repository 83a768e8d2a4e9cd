// Keeps the agent's process small. A process that measures for years should not hold what only its first second needed.
import { setFlagsFromString } from "node:v8";
import { SMALL_ENVIRONMENT, SMALL_NODE_OPTIONS } from "#contract/small-process";

/** Set in a process that has been started again, so that it happens once. */
const RESTARTED = "STREAMSWARM_RESTARTED";
/** The start is over by then, and tests of a minute's interval load what they need within the next, milliseconds. */
const SETTLED_MS = 30_000;
const DROP_MS = 60 * 60_000;
const COLLECT_MS = 240_000;
/** A collection waits for the end of what is measured: looked for so often, so many times. */
const IDLE_LOOK_MS = 500;
const IDLE_TRIES = 60;
const COMPILERS = ["opt", "maglev", "sparkplug"] as const;

/** Whether this process runs with the compilers switched off. */
let frugal = false;
let hot = 0;

function switchCompilers(on: boolean): void {
  for (const name of COMPILERS) setFlagsFromString(on ? `--${name}` : `--no-${name}`);
}

/**
 * Starts this very process again with the options of a small one: same id, same group, same files. Comes back where it has happened
 * already, where the system cannot (Windows), and where a parent listens on a channel that would be lost; those begin with the
 * right options, or do with what can be set while running.
 */
export function restartSmall(env: NodeJS.ProcessEnv = process.env): void {
  const small = SMALL_NODE_OPTIONS.every((option) => process.execArgv.includes(option));
  if (!small && env[RESTARTED] === undefined && process.send === undefined && process.execve !== undefined) {
    const args = [process.execPath, ...process.execArgv, ...SMALL_NODE_OPTIONS, ...process.argv.slice(1)];
    try {
      process.execve(process.execPath, args, { ...SMALL_ENVIRONMENT, ...definedOf(env), [RESTARTED]: "1" });
    } catch {
      // Not on this system; it goes on as it is.
    }
  }
  delete env[RESTARTED];
  frugal = true;
  if (small) return;
  // V8 would let its nursery grow to 64 MB and keep it.
  setFlagsFromString("--semi-space-growth-factor=1");
  switchCompilers(false);
}

const definedOf = (env: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));

/**
 * Switches the compilers on for what needs all the speed there is, such as moving bytes as fast as a line can. The answer switches
 * them off again, once nobody else needs them.
 */
export function fullSpeed(): () => void {
  if (!frugal) return () => {};
  hot += 1;
  if (hot === 1) switchCompilers(true);
  let over = false;
  return () => {
    if (over) return;
    over = true;
    hot -= 1;
    if (hot === 0) switchCompilers(false);
  };
}

let drops = 0;

/** How often this process has thrown away the code it had not used for a while: what is timed is warmed up anew. */
export const codeDropped = (): number => drops;

/**
 * Collects garbage while nothing is measured: what lives longer than a run is some 100 KB a minute. Once the start is over, and every
 * hour, code that is not used any more goes too, 3 MB at first. Takes 25 ms of a processor, with the code 50 ms.
 */
export function keepSmall(isMeasuring: () => boolean): void {
  if (globalThis.gc === undefined) return;
  const { gc } = globalThis;
  const whenIdle = (work: () => void, tries = IDLE_TRIES) => {
    // One that is never idle is collected by V8, as it goes: a pause here would be in somebody's times.
    if (!isMeasuring()) work();
    else if (tries > 0) setTimeout(() => whenIdle(work, tries - 1), IDLE_LOOK_MS).unref();
  };
  const dropCode = () => {
    gc({ type: "major", execution: "sync", flavor: "last-resort" });
    drops += 1;
  };
  setTimeout(() => whenIdle(dropCode), SETTLED_MS).unref();
  setInterval(() => whenIdle(dropCode), DROP_MS).unref();
  setInterval(() => whenIdle(() => gc({ type: "major", execution: "sync" })), COLLECT_MS).unref();
}

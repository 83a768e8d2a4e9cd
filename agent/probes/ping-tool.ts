// What the ping adapters of the operating systems have in common.
import type { ToolRun } from "../exec.ts";
import type { PingOutput } from "../parsers/ping.ts";

export type PingDialect = "iputils" | "busybox" | "inetutils" | "fping" | "macos" | "windows";

export interface PingTool {
  readonly dialect: PingDialect;
  /** Absolute path. */
  readonly file: string;
  /** As people know it, e.g. `iputils 20221126`. */
  readonly version: string;
}

/** One run, in validated numbers. Times in seconds, size in payload bytes. */
export interface PingRequest {
  /** A literal for which net.isIP() is not 0. */
  readonly address: string;
  readonly count: number;
  readonly interval: number;
  readonly timeout: number;
  readonly packet_size: number;
  readonly dscp?: number | undefined;
  readonly df?: boolean | undefined;
}

export type PingCommand = { readonly file: string; readonly args: readonly string[] } | { readonly unsupported: string };

export interface PingAdapter {
  /** The installed tool, or undefined. */
  find(): Promise<PingTool | undefined>;
  command(tool: PingTool, request: PingRequest): PingCommand;
  parse(run: ToolRun, tool: PingTool): PingOutput;
  /** The signal that makes the tool print its exact statistics so far, where its lines are coarse; undefined where it knows none. */
  snapshotSignal?(tool: PingTool): NodeJS.Signals | undefined;
}

/** A number of seconds as a tool's argument: at most three decimals, never exponential. */
export const seconds = (value: number): string => String(Math.round(value * 1000) / 1000);

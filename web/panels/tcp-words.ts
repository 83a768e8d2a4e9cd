// What held a TCP sender back, in words (the kernel's chronograph of tcp_info).
import { wordOf } from "./read.ts";

const LIMIT: Readonly<Record<string, string>> = {
  network: "The network set the pace: there was room to send more than the path took.",
  receiver: "The receiver set the pace: its window was full.",
  sender_buffer: "This host set the pace: its send buffer was full.",
  application: "The sender had no more to send; the path was not filled.",
};

export const limitText = (limit: unknown): string | null => (typeof limit === "string" ? (wordOf(LIMIT, limit) ?? null) : null);

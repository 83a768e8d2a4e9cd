// What held a TCP sender back, in words (the kernel's chronograph of tcp_info).
import { z } from "zod";
import type { Result } from "#contract/result";
import { formatText } from "../format.ts";
import { numberOrNull, wordOf } from "./read.ts";

const LIMIT: Readonly<Record<string, string>> = {
  network: "The network set the pace: there was room to send more than the path took.",
  receiver: "The receiver set the pace: its window was full.",
  sender_buffer: "This host set the pace: its send buffer was full.",
  application: "The sender had no more to send; the path was not filled.",
};

export const limitText = (limit: unknown): string | null => (typeof limit === "string" ? (wordOf(LIMIT, limit) ?? null) : null);

const sendSchema = z.object({ bytes: z.number().positive(), acked: numberOrNull, complete: z.boolean(), took_ms: numberOrNull });

/** What became of the bytes the test sends; null where it sends none. */
export function sentText({ detail }: Pick<Result, "detail">): string | null {
  const parsed = sendSchema.safeParse(detail.send);
  if (!parsed.success) return null;
  const { bytes, acked, complete, took_ms } = parsed.data;
  // As the test's own setting has it.
  const exact = (count: number) => `${count.toLocaleString("en-GB")} B`;
  const size = exact(bytes);
  if (!complete) {
    return `Of the ${size} to send, ${acked === null ? "not all were" : `${exact(acked)} were`} acknowledged.`;
  }
  return `${size} were sent and acknowledged${took_ms === null ? "" : ` in ${formatText("tcp_connect_ms", took_ms)}`}.`;
}

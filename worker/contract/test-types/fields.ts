// Parameters that several test types share, so that they mean the same everywhere.
import { z } from "zod";
import { LIMITS } from "../limits.ts";

export const ipVersionField = z
  .union([z.literal(4), z.literal(6)])
  .optional()
  .describe("4 or 6; default whichever the name has, IPv4 first");

export const dscpField = z.number().int().min(0).max(63).optional().describe("DSCP to mark packets with");

export const portField = (preset: number) =>
  z.number().int().min(1).max(65_535).default(preset).describe("Port, where the destination names none");

/** Payload bytes; what the protocol cannot send is the type's own check. */
export const packetSizeField = (what: string) =>
  z.number().int().min(LIMITS.packetSizeMin).max(LIMITS.packetSizeMax).default(LIMITS.packetSizeDefault).describe(what);

/** Seconds. */
export const timeoutField = (preset: number, most: number, what: string) =>
  z.number().min(0.1).max(most).default(preset).describe(what);

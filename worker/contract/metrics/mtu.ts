// Path MTU.
import { familyOf } from "./define.ts";

const { number } = familyOf("mtu");

export const MTU_METRICS = {
  path_mtu: number("Path MTU", "bytes", "higher", "RFC 8899"),
} as const;

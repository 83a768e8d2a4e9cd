// Path: the hops between here and the target.
import { familyOf } from "./define.ts";

const { number } = familyOf("traceroute");

export const PATH_METRICS = {
  path_hop_count: number("Hops to the target", "count", "neither"),
} as const;

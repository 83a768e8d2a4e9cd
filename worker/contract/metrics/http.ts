// HTTP: one request in its phases.
import { familyOf } from "./define.ts";

const { number } = familyOf("http");

export const HTTP_METRICS = {
  http_total_ms: number("Whole request", "ms", "lower", "W3C Resource Timing"),
} as const;

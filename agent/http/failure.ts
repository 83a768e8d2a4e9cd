// What went wrong with a connection or an exchange, and whose doing it was. Pure.
import type { ErrorCode, ErrorSource } from "#contract/result";
import { printable } from "../printable.ts";

export interface Failure {
  readonly code: ErrorCode;
  readonly source: ErrorSource;
  readonly message: string;
  /** The runtime's own name for it, such as HPE_HEADER_OVERFLOW; null where there is none. */
  readonly raw: string | null;
}

interface SystemError {
  readonly code?: string | undefined;
  readonly syscall?: string | undefined;
  readonly message: string;
}

const asSystemError = (error: unknown): SystemError =>
  typeof error === "object" && error !== null && "message" in error ? (error as SystemError) : { message: String(error) };

/** A failure with its message cut to what a result may carry. */
export const failure = (code: ErrorCode, source: ErrorSource, message: string, raw: string | null = null): Failure => ({
  code,
  source,
  message: message.slice(0, 1000),
  raw: raw === null ? null : printable(raw).slice(0, 100),
});

/** Why an exchange failed once the connection stood. `answered` tells whether a response had begun. */
export function exchangeFailure(error: unknown, answered: boolean): Failure {
  const { code = "unknown", message, syscall } = asSystemError(error);
  if (code === "HPE_HEADER_OVERFLOW") {
    return failure("too_large", "target", "the response's headers are larger than 32 KiB", code);
  }
  if (code.startsWith("HPE_")) {
    return failure("bad_response", "target", `the answer is not HTTP/1.1 as it should be: ${printable(message)}`, code);
  }
  if (code.startsWith("ERR_SSL"))
    return failure("tls_failed", "target", `TLS failed during the request: ${printable(message)}`, code);
  if (code === "ECONNRESET" && syscall !== undefined) {
    return failure(
      "reset",
      "target",
      `the connection was reset ${answered ? "during the response" : "before any response"}`,
      code,
    );
  }
  if (code === "EPIPE" || code === "ECONNRESET" || code === "ERR_STREAM_PREMATURE_CLOSE") {
    const when = answered ? "before the response was complete" : "without an answer";
    return failure("bad_response", "target", `the connection was closed ${when}`, code);
  }
  if (code.startsWith("ERR_HTTP2")) return failure("bad_response", "target", `HTTP/2 failed: ${printable(message)}`, code);
  if (code === "ETIMEDOUT") return failure("no_reply", "network", "the connection died: the network no longer delivers", code);
  if (code === "EHOSTUNREACH" || code === "ENETUNREACH") {
    return failure("unreachable", "network", `the network no longer reaches the server (${code})`, code);
  }
  return failure("bad_response", "target", `the request failed: ${printable(message)}`, code);
}

// TCP: the handshake and what the kernel knows of the connection.
import { familyOf } from "./define.ts";

const { number } = familyOf("tcp");

export const TCP_METRICS = {
  tcp_connect_ms: number("TCP handshake, median", "ms", "lower", "RFC 9293"),
} as const;

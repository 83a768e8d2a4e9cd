// TLS: the handshake and the certificate.
import { familyOf } from "./define.ts";

const { number } = familyOf("tls");

export const TLS_METRICS = {
  tls_handshake_ms: number("TLS handshake", "ms", "lower", "RFC 8446"),
} as const;

// TLS: the handshake and the certificate.
import { familyOf } from "./define.ts";

const { number, flag, word } = familyOf("tls");

export const TLS_METRICS = {
  tls_handshake_ms: number("TLS handshake", "ms", "lower", "RFC 8446"),
  tls_tcp_ms: number("TCP handshake before it", "ms", "lower", "RFC 9293"),
  tls_version: word("TLS version", "RFC 8446"),
  tls_cipher: word("Cipher suite", "RFC 8446"),
  tls_alpn: word("Application protocol", "RFC 7301"),
  tls_resumed: flag("Session resumed", "neither", "RFC 8446"),
  tls_authorized: flag("Certificate valid", "higher", "RFC 5280"),
  tls_error: word("TLS error"),
  tls_ocsp_stapled: flag("OCSP response stapled", "higher", "RFC 6066"),
  tls_versions: word("TLS versions the server takes"),
  cert_days_left: number("Certificate, days left", "days", "higher", "RFC 5280"),
  cert_not_after: word("Certificate valid until", "RFC 5280"),
  cert_issuer: word("Certificate issuer", "RFC 5280"),
  cert_subject_cn: word("Certificate common name", "RFC 5280"),
  cert_sans: word("Certificate names", "RFC 5280"),
  cert_fingerprint_sha256: word("Certificate fingerprint, SHA-256"),
  cert_key_bits: number("Certificate key size", "", "higher"),
  cert_key_type: word("Certificate key type"),
  cert_chain_len: number("Certificates up to the root, as far as known", "count", "neither", "RFC 5280"),
  cert_changed: flag("Certificate changed since the last run", "neither"),
} as const;

// HTTP: one request in its phases. Every time is of a connection opened for the run; the phases are of the last request,
// those of redirects before it are in http_redirects_ms.
import { familyOf } from "./define.ts";

const { flag, number, word } = familyOf("http");

export const HTTP_METRICS = {
  http_total_ms: number("Whole request", "ms", "lower", "W3C Resource Timing"),
  http_dns_ms: number("Name resolution", "ms", "lower", "W3C Resource Timing"),
  http_tcp_ms: number("TCP handshake", "ms", "lower", "RFC 9293"),
  http_tls_ms: number("TLS handshake", "ms", "lower", "RFC 8446"),
  http_ttfb_ms: number("First byte after the request began", "ms", "lower", "W3C Resource Timing"),
  http_request_ms: number("Request written, part of the first byte's time", "ms", "lower", "W3C Resource Timing"),
  http_download_ms: number("First to last byte", "ms", "lower", "W3C Resource Timing"),
  http_redirects_ms: number("Redirects before the last request", "ms", "lower", "W3C Resource Timing"),
  http_status: number("Status", "", "neither", "RFC 9110 15"),
  http_version: word("HTTP version", "RFC 9110 2.5"),
  http_ipv: number("IP version", "", "neither"),
  http_redirects: number("Redirects followed", "count", "lower", "RFC 9110 15.4"),
  http_final_url: word("URL of the last request"),
  http_content_type: word("Content type", "RFC 9110 8.3"),
  http_content_encoding: word("Content coding", "RFC 9110 8.4"),
  http_bytes_wire: number("Body as received", "bytes", "neither", "RFC 9110 8.4"),
  http_bytes_decoded: number("Body after decompression", "bytes", "neither", "RFC 9110 8.4"),
  http_compression_ratio: number("Compression, decoded over received", "ratio", "higher", "RFC 9110 8.4"),
  http_truncated: flag("Body cut at the limit", "lower"),
  http_reused: flag("Second request on the same connection", "higher", "RFC 9112 9.3"),
  http_reuse_ttfb_ms: number("First byte on the reused connection", "ms", "lower", "W3C Resource Timing"),
  http_cache_status: word("Cache", "RFC 9211"),
  http_server_timing: word("Server timing", "W3C Server Timing"),
  http_body_sha256: word("SHA-256 of the decoded body", "FIPS 180-4"),
  http_body_match: flag("Body as expected", "higher"),
  http_assertions_ok: flag("All expectations met", "higher"),
  http_error: word("HTTP error"),
} as const;

import { z } from "zod";
import { checkEndpoint, checkHost } from "../destination.ts";
import { metricsOf } from "../metrics.ts";
import type { FieldError } from "../problem.ts";
import { defineTestType, familyMismatch, hostContact, type Traffic } from "./define.ts";
import { ipVersionField, portField, timeoutField } from "./fields.ts";
import { CONNECTION_BYTES, TLS_BYTES } from "./traffic.ts";

/** Oldest first. */
export const TLS_VERSIONS = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const;
export type TlsVersion = (typeof TLS_VERSIONS)[number];

const versionField = z.enum(TLS_VERSIONS);

const tlsParams = z.strictObject({
  port: portField(443),
  servername: z.string().max(253).optional().describe("Name to ask for and to check (SNI); default the destination's host name"),
  alpn: z
    .string()
    .max(200)
    .default("h2,http/1.1")
    .describe("Application protocols to offer, separated by commas; empty for none"),
  min_version: versionField.default("TLSv1.2").describe("Oldest version to offer: TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3"),
  max_version: versionField.default("TLSv1.3").describe("Newest version to offer"),
  timeout: timeoutField(5, 60, "Seconds for the whole run"),
  ip_version: ipVersionField,
  check_versions: z.boolean().default(false).describe("Also try each version by itself, one connection more for each"),
});
export type TlsParams = z.output<typeof tlsParams>;

/** The application protocols to offer, in order. */
export const alpnProtocols = (alpn: string): string[] =>
  alpn
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");

function checkTls(destination: string, params: TlsParams): FieldError[] {
  const endpoint = checkEndpoint(destination);
  if (!endpoint.ok) return [{ path: "destination", message: endpoint.message }];
  const errors = familyMismatch(endpoint.version, params.ip_version);
  if (params.servername !== undefined) {
    const name = checkHost(params.servername);
    if (!name.ok) errors.push({ path: "params.servername", message: name.message });
    else if (name.version !== 0)
      errors.push({ path: "params.servername", message: "is an IP address, which SNI cannot carry (RFC 6066 3)" });
  }
  // RFC 7301: 1 to 255 bytes each; the registered names are printable ASCII.
  const protocols = params.alpn.trim() === "" ? [] : params.alpn.split(",").map((name) => name.trim());
  const odd = protocols.find((name) => !/^[\x21-\x7e]{1,64}$/.test(name));
  if (odd !== undefined) errors.push({ path: "params.alpn", message: `holds '${odd.slice(0, 20)}', which is no protocol name` });
  if (TLS_VERSIONS.indexOf(params.min_version) > TLS_VERSIONS.indexOf(params.max_version)) {
    errors.push({
      path: "params.min_version",
      message: `is ${params.min_version}, newer than max_version ${params.max_version}`,
    });
  }
  return errors;
}

function traffic({ check_versions }: TlsParams): Traffic {
  const handshakes = 1 + (check_versions ? TLS_VERSIONS.length : 0);
  return { packets_per_s: handshakes, bytes: handshakes * (CONNECTION_BYTES + TLS_BYTES) };
}

export const tls = defineTestType({
  type: "tls",
  label: "TLS",
  summary: "Handshake time, version and cipher, and whether the certificate is valid and for how long",
  destination: {
    hint: "A host name or an IP address, with or without a port.",
    example: "crm.example, mail.example:465 or 192.0.2.10:8443",
  },
  params: tlsParams,
  metrics: metricsOf("tls"),
  headline: ["tls_handshake_ms", "cert_days_left", "tls_authorized", "tls_version"],
  default_interval_s: 300,
  check: checkTls,
  contacts: (destination) => hostContact(checkEndpoint(destination)),
  traffic,
  deadline_ms: ({ timeout }) => timeout * 1000,
});

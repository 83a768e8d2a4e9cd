// The parameters of a test type as fields of a form, read from its schema.
import { z } from "zod";
import { type TestTypeName, testType } from "#contract/test-types/index";
import { bytesFrom, bytesText } from "../byte-units.ts";

/** A parameter of a type, read from its schema. */
export interface ParamField {
  readonly name: string;
  readonly label: string;
  readonly hint: string;
  readonly kind: "number" | "bytes" | "choice" | "switch" | "text";
  /** What an empty field stands for; empty where the agent decides. */
  readonly fallback: string;
  /** As the schema has them: 4 is a number, "1.1" is a text. */
  readonly choices: readonly unknown[];
}

const propertySchema = z.object({
  type: z.unknown().optional(),
  description: z.string().optional(),
  default: z.unknown().optional(),
  minimum: z.number().optional(),
  anyOf: z.array(z.object({ const: z.unknown().optional() })).optional(),
  enum: z.array(z.unknown()).optional(),
});
const objectSchema = z.object({ properties: z.record(z.string(), propertySchema).default({}) });

/** Bytes of which the least are that many are a budget, written as people do: 500 MB. */
const BUDGET_FROM = 1_000_000;

const LABELS: Record<string, string> = {
  streams: "Connections at once",
  single: "One connection too",
  warm_up: "Warm-up",
  max_bytes: "Bytes a run may use",
  month_bytes: "Bytes a month may use",
  skip_above_mbps: "Skip while the line is busy",
  buffer_ms: "Playout buffer",
  sip: "SIP server",
  sip_transport: "SIP transport",
  classes: "Classes to compare",
  max_hops: "Hops at most",
  ip_version: "IP version",
  dscp: "DSCP",
  df: "Don't fragment",
  alpn: "Application protocols (ALPN)",
  servername: "Server name (SNI)",
  dnssec: "DNSSEC",
  http_version: "HTTP version",
  expect_json: "Expect JSON",
  expect_rcode: "Expected outcome",
  system: "Operating system's own look-up",
  reuse: "Connection reuse",
  insecure: "Accept an invalid certificate",
  names: "Names of hops",
  check_versions: "Try every TLS version",
  send_bytes: "Bytes to send",
};

function labelOf(name: string): string {
  const words = name.replaceAll("_", " ");
  return LABELS[name] ?? words.charAt(0).toUpperCase() + words.slice(1);
}

const looksLikeIndex = (choice: unknown) => typeof choice === "string" && /^\d+$/.test(choice);

/** Fields of a type's parameters, except the packet size, which has its own place in the form. */
export function paramFields(type: TestTypeName): ParamField[] {
  const { properties } = objectSchema.parse(z.toJSONSchema(testType(type).params, { io: "input" }));
  return Object.entries(properties)
    .filter(([name]) => name !== "packet_size")
    .map(([name, property]) => {
      const choices = (property.enum ?? property.anyOf?.map((one) => one.const) ?? [])
        .filter((choice) => choice !== undefined)
        // Enumerations lose their order where a name looks like an index ("2" comes before "auto").
        .sort((a, b) => Number(looksLikeIndex(a)) - Number(looksLikeIndex(b)));
      const numeric = property.type === "number" || property.type === "integer";
      const budget = numeric && name.endsWith("_bytes") && (property.minimum ?? 0) >= BUDGET_FROM;
      const number = budget ? "bytes" : "number";
      const kind = choices.length > 0 ? "choice" : property.type === "boolean" ? "switch" : numeric ? number : "text";
      const fallback =
        property.default === undefined ? "" : budget ? bytesText(Number(property.default)) : String(property.default);
      return { name, label: labelOf(name), hint: property.description ?? "", kind, fallback, choices };
    });
}

/** What is chosen: as typed, else the default. */
export const chosen = (field: ParamField, typed: string | undefined) =>
  typed === undefined || typed === "" ? field.fallback : typed;

/** A typed number; text that is none stays text, so that the schema says what is wrong. */
export function numberFrom(text: string): number | string | undefined {
  if (text.trim() === "") return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
}

/** What the schema shall see of a typed text. */
export function paramValue(field: ParamField, text: string): unknown {
  if (field.kind === "switch") return text === "true";
  if (field.kind === "choice") return field.choices.find((choice) => String(choice) === text) ?? text;
  if (field.kind === "bytes") return bytesFrom(text) ?? text;
  return field.kind === "number" ? numberFrom(text) : text;
}

/** A stored value as one types it. */
export function paramText(type: TestTypeName, name: string, value: unknown): string {
  const bytes = typeof value === "number" && paramFields(type).some((field) => field.name === name && field.kind === "bytes");
  // Only where nothing is rounded away: an edit that leaves a field alone must not change it.
  return bytes && bytesFrom(bytesText(value)) === value ? bytesText(value) : String(value);
}

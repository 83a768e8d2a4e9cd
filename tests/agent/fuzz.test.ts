// Damaged tool output against every parser: none may throw, and none may say a number the text does not hold.
// A parser is one line in PARSERS. FUZZ_SEED chooses another run, FUZZ_RUNS another length.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseFping } from "../../agent/parsers/fping.ts";
import { parseRouteGet } from "../../agent/parsers/ip-route.ts";
import { parseMtrRaw } from "../../agent/parsers/mtr.ts";
import { parsePing } from "../../agent/parsers/ping.ts";
import { parsePingWindows } from "../../agent/parsers/ping-windows.ts";
import { parseSs } from "../../agent/parsers/ss.ts";
import { parseTracepath } from "../../agent/parsers/tracepath.ts";
import { parseTracepathMtu } from "../../agent/parsers/tracepath-mtu.ts";
import { parseTraceroute } from "../../agent/parsers/traceroute.ts";
import { parseSizedTraceroute } from "../../agent/parsers/traceroute-mtu.ts";
import { parseHandshakes } from "../../agent/parsers/traceroute-tcp.ts";
import { DNS_MESSAGES, readDns } from "./helpers/dns-fuzz.ts";
import { Facts, generator, leaves, mutate } from "./helpers/mutations.ts";

const SEED = Number(process.env.FUZZ_SEED ?? 20261123);
const RUNS = Number(process.env.FUZZ_RUNS ?? 100_000);

interface FuzzedParser {
  readonly name: string;
  /** Bytes as a tool wrote them or a server sent them. */
  readonly parse: (bytes: Buffer) => unknown;
  readonly fixtures: readonly Buffer[];
  /** Whether a number that does not itself stand in the text follows from it by a rule: say the rule beside it. */
  readonly allowed?: (value: number, facts: Facts, path: string) => boolean;
  /** The same for a text with digits; without it, such a text must stand in the input as it is. */
  readonly allowedText?: (value: string, facts: Facts, path: string) => boolean;
}

/** Recorded outputs of fixtures/<dir> whose names match. */
function recorded(dir: string, name: RegExp): Buffer[] {
  const path = fileURLToPath(new URL(`./fixtures/${dir}/`, import.meta.url));
  const names = readdirSync(path).filter((file) => name.test(file));
  return names.map((file) => readFileSync(`${path}${file}`)).filter((bytes) => bytes.length > 0);
}

/** A parser of text, fed as runTool feeds it. */
const ofText = (parse: (text: string) => unknown) => (bytes: Buffer) => parse(bytes.toString("utf8"));

/**
 * Requests are counted from 0 by us and from 0 or 1 by the tool; the worth of a last digit follows from the digits behind the
 * point; replies with other data are counted by their lines; a summary that names no duplicates has none.
 */
const pingRules: FuzzedParser["allowed"] = (value, facts, path) =>
  (path.endsWith(".index") && facts.has(value + 1)) ||
  (path.endsWith(".step") && [1, 0.1, 0.01, 0.001].includes(value)) ||
  (path === "altered" && value === facts.text.split(/^wrong data byte #\d+ should be /m).length - 1) ||
  (path === "summary.duplicates" && value === 0);

/** A final line tells sent and received by its values and dashes; duplicates are counted by their lines. */
const fpingRules: FuzzedParser["allowed"] = (value, facts, path) =>
  (path.endsWith(".step") && [1, 0.1, 0.01, 0.001].includes(value)) ||
  (/^summary\.(sent|received|duplicates)$/.test(path) && value <= facts.text.split(/\s/).length) ||
  (path === "altered" && value === 0);

/** Our script prints payload bytes, the parser counts the header of 8 too; whole milliseconds, 0 is under 1; replies are counted. */
const windowsRules: FuzzedParser["allowed"] = (value, facts, path) =>
  (path.endsWith(".bytes") && (facts.has(value - 8) || value === 8)) ||
  (/\.(step|under)$/.test(path) && value === 1) ||
  (path === "summary.received" && value < facts.lines) ||
  ((path === "summary.duplicates" || path === "altered") && value === 0);

const PARSERS: readonly FuzzedParser[] = [
  {
    name: "ping, standard output",
    parse: ofText((text) => parsePing(text)),
    fixtures: recorded("ping", /^(?!windows|fping).*\.stdout$/),
    allowed: pingRules,
  },
  {
    name: "ping, standard error",
    parse: ofText((text) => parsePing("", text)),
    fixtures: recorded("ping", /^(?!fping).*\.stderr$/),
    allowed: pingRules,
  },
  {
    name: "fping, standard output",
    parse: ofText((text) => parseFping(text, "10.77.100.1 : 20.3 20.3 20.3\n")),
    fixtures: recorded("ping", /^fping.*\.stdout$/),
    allowed: (value, facts, path) => fpingRules(value, facts, path) || (path.startsWith("summary.") && value === 3),
  },
  {
    name: "fping, standard error",
    parse: ofText((text) => parseFping("", text)),
    fixtures: recorded("ping", /^fping.*\.stderr$/),
    allowed: fpingRules,
  },
  {
    name: "ping, .NET",
    parse: ofText(parsePingWindows),
    fixtures: recorded("ping", /^windows.*\.stdout$/),
    allowed: windowsRules,
  },
  // Its numbers are binary: the reader itself objects to those that do not stand in the message.
  { name: "dns, message", parse: readDns, fixtures: DNS_MESSAGES },
  { name: "ip route get", parse: ofText(parseRouteGet), fixtures: recorded("mtu", /^ip_route.*\.stdout$/) },
  { name: "tracepath, path MTU", parse: ofText(parseTracepathMtu), fixtures: recorded("mtu", /^tracepath.*\.stdout$/) },
  { name: "traceroute of one size", parse: ofText(parseSizedTraceroute), fixtures: recorded("mtu", /^sized.*\.stdout$/) },
  { name: "ss", parse: ofText(parseSs), fixtures: recorded("ss", /\.stdout$/) },
  { name: "traceroute", parse: ofText(parseTraceroute), fixtures: recorded("traceroute", /^(?!mtr|tracepath).*\.stdout$/) },
  { name: "traceroute, handshakes", parse: ofText(parseHandshakes), fixtures: recorded("qos/cleared", /^syn.*\.stdout$/) },
  { name: "tracepath", parse: ofText(parseTracepath), fixtures: recorded("traceroute", /^tracepath.*\.stdout$/) },
  {
    name: "mtr",
    parse: ofText(parseMtrRaw),
    fixtures: recorded("traceroute", /^mtr.*\.stdout$/),
    // Hops are counted from 0 there, and times are microseconds.
    allowed: (value, facts, path) => (path.endsWith(".ttl") && facts.has(value - 1)) || facts.has(Math.round(value * 1000)),
  },
];

beforeAll(() => console.info(`fuzz: FUZZ_SEED=${SEED} FUZZ_RUNS=${RUNS}`));

let mutations = 0;

/** Throws where the parser throws, or says what the bytes do not. */
function expectHonest(parser: FuzzedParser, bytes: Buffer, context: string): void {
  const facts = new Facts(bytes);
  const invented = (what: unknown, path: string) =>
    new Error(`${context}: invented ${path} = ${String(what)}, seed ${SEED}, from ${JSON.stringify(facts.text.slice(0, 2000))}`);
  for (const { path, value } of leaves(parse(parser, bytes, context))) {
    if (typeof value === "string") {
      if (!facts.says(value) && parser.allowedText?.(value, facts, path) !== true) throw invented(value, path);
    } else if (!(Number.isFinite(value) && (facts.has(value) || parser.allowed?.(value, facts, path) === true))) {
      throw invented(value, path);
    }
  }
}

function parse(parser: FuzzedParser, bytes: Buffer, context: string): unknown {
  try {
    return parser.parse(bytes);
  } catch (error) {
    throw new Error(`${context}: threw, seed ${SEED}, on ${JSON.stringify(bytes.toString("utf8").slice(0, 2000))}`, {
      cause: error,
    });
  }
}

test.each(PARSERS.map((parser, place) => ({ ...parser, place })))("$name: whole and cut at every byte", (parser) => {
  expect(parser.fixtures.length).toBeGreaterThan(0);
  for (const fixture of parser.fixtures) {
    // Of a long output, the ends and a spread of places in between.
    const step = Math.max(1, Math.floor(fixture.length / 2000));
    for (let length = fixture.length; length >= 0; length -= step) {
      expectHonest(parser, fixture.subarray(0, length), `${parser.name} cut at ${length}`);
    }
  }
});

test.each(PARSERS.map((parser, place) => ({ ...parser, place })))(
  "$name: random damage",
  (parser) => {
    const random = generator(SEED + parser.place);
    const others = PARSERS.flatMap(({ fixtures }) => fixtures);
    const runs = Math.ceil(RUNS / PARSERS.length);
    for (let run = 0; run < runs; run++) {
      const fixture = parser.fixtures[Math.floor(random() * parser.fixtures.length)] ?? Buffer.alloc(0);
      expectHonest(parser, mutate(fixture, random, others), `${parser.name}, mutation ${run}`);
      mutations += 1;
    }
    expect(runs).toBeGreaterThan(0);
  },
  120_000,
);

afterAll(() => console.info(`fuzz: ${mutations} mutations`));

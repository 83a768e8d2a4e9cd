// Captures recorded in a network lab: what is read from them, whole, cut, damaged, and mixed with the traffic of others.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { findTool } from "../../agent/exec.ts";
import { type ProbeHeader, type Quote, readProbe, readQuote } from "../../agent/parsers/icmp-quote.ts";
import { PcapReader } from "../../agent/parsers/pcap.ts";
import { parseHandshakes } from "../../agent/parsers/traceroute-tcp.ts";
import { Capture, captureFilter } from "../../agent/probes/qos-capture.ts";
import { dscpChange, ecnChange, markHops, reachOf, sightingsOf } from "../../agent/probes/qos-marks.ts";
import { fakeTools } from "./helpers/cli.ts";
import { generator, mutate } from "./helpers/mutations.ts";

const FIXTURES = fileURLToPath(new URL("./fixtures/qos/", import.meta.url));
const fixture = (name: string): Buffer => readFileSync(`${FIXTURES}${name}`);
const SCENES = ["kept", "bleached", "bleached6", "silent", "silent6", "cleared", "dropped", "filtered"];
const CAPTURES = [...SCENES.map((scene) => `${scene}/capture.pcap`), "foreign.pcap"];

/** Everything a capture tells, fed in pieces of so many bytes. */
function read(bytes: Buffer, piece = bytes.length): { probes: ProbeHeader[]; quotes: Quote[]; broken: boolean } {
  const reader = new PcapReader();
  const frames = [];
  for (let at = 0; at < bytes.length; at += piece) frames.push(...reader.push(bytes.subarray(at, at + piece)));
  return {
    probes: frames.flatMap(({ outgoing, packet }) => (outgoing ? (readProbe(packet) ?? []) : [])),
    quotes: frames.flatMap(({ packet }) => readQuote(packet) ?? []),
    broken: reader.broken,
  };
}

const tuples = ({ quotes }: { quotes: readonly Quote[] }) => quotes.map(({ from, kind, probe }) => [from, kind, probe.tos]);

describe("a capture", () => {
  test("tells who quoted which traffic class", () => {
    expect(tuples(read(fixture("kept/capture.pcap")))).toEqual([
      ["10.77.1.1", "time_exceeded", 0xba],
      ["10.77.2.2", "time_exceeded", 0xba],
      ["10.77.100.1", "unreachable", 0xba],
    ]);
    expect(tuples(read(fixture("cleared/capture.pcap"))).map(([, , tos]) => tos)).toEqual([0xba, 0xb8, 0xb8]);
    expect(tuples(read(fixture("bleached6/capture.pcap")))).toEqual([
      ["fd77:1:0:0:0:0:0:1", "time_exceeded", 0xba],
      ["fd77:2:0:0:0:0:0:2", "time_exceeded", 0x02],
      ["fd77:100:0:0:0:0:0:1", "unreachable", 0x02],
    ]);
  });

  test("tells the probes that left, with everything that tells them apart", () => {
    const { probes } = read(fixture("kept/capture.pcap"));
    expect(probes.map(({ ttl }) => ttl)).toEqual([1, 2, 3]);
    expect(probes[0]).toMatchObject({
      protocol: "udp",
      source: "10.77.1.2",
      destination: "10.77.100.1",
      tos: 0xba,
      port: 33_434,
      mark: 40,
    });
    expect(new Set(probes.map(({ id }) => id)).size).toBe(3);
    expect(read(fixture("bleached6/capture.pcap")).probes[2]).toMatchObject({ ttl: 3, id: null, tos: 0xba, mark: 40 });
    const { probes: mixed } = read(fixture("filtered/capture.pcap"));
    expect(mixed.filter(({ protocol }) => protocol === "tcp")).toMatchObject([{ ttl: 3, port: 80, tos: 0xb8 }]);
  });

  test.each(CAPTURES)("%s is read the same in pieces of any size", (name) => {
    const bytes = fixture(name);
    const whole = read(bytes);
    expect(whole.quotes.length).toBeGreaterThan(0);
    for (const piece of [1, 7, 64, 1000]) expect(read(bytes, piece)).toEqual(whole);
  });

  test.each(CAPTURES)("%s cut at any byte tells the beginning of the same", (name) => {
    const bytes = fixture(name);
    const whole = read(bytes);
    for (let length = 0; length < bytes.length; length++) {
      const cut = read(bytes.subarray(0, length));
      expect(cut.quotes).toEqual(whole.quotes.slice(0, cut.quotes.length));
      expect(cut.probes).toEqual(whole.probes.slice(0, cut.probes.length));
    }
  });

  // The checksum does not notice words that change places; such a quote is of no flow of ours.
  test.each(CAPTURES)("%s with random damage never tells anything else of our probes", (name) => {
    const bytes = fixture(name);
    const ours = ({ probe }: Quote) =>
      [64_628, 64_635].includes(probe.source_port) && /^(10\.77\.100\.1|fd77:100:)/.test(probe.destination);
    const told = (from: Buffer) =>
      read(from)
        .quotes.filter(ours)
        .map((quote) => JSON.stringify(quote));
    // Pieces of other captures are whole packets at times, and then true.
    const others = CAPTURES.filter((other) => other !== name).map(fixture);
    const known = new Set([bytes, ...others].flatMap(told));
    const random = generator(20_261_123);
    for (let run = 0; run < 1500; run++) {
      for (const quote of told(mutate(bytes, random, others))) expect(known, `run ${run}`).toContain(quote);
    }
    expect(known.size).toBeGreaterThan(20);
  });

  test.each(["bleached/capture.pcap", "bleached6/capture.pcap"])(
    "%s: one wrong bit in an ICMP error, and it tells nothing",
    (name) => {
      const frames = new PcapReader().push(fixture(name));
      const errors = frames.filter(({ packet }) => readQuote(packet) !== undefined);
      expect(errors).toHaveLength(3);
      for (const { packet } of errors) {
        const header = (packet[0] ?? 0) >> 4 === 4 ? 20 : 40;
        for (let bit = header * 8; bit < packet.length * 8; bit++) {
          const damaged = Buffer.from(packet);
          damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          expect(readQuote(damaged), `bit ${bit}`).toBeUndefined();
        }
      }
    },
  );

  test.each([
    ["nothing", Buffer.alloc(0), false],
    ["text", Buffer.from("tcpdump: something to say, at some length"), true],
    ["zeros", Buffer.alloc(100), true],
    ["an unknown link layer", Buffer.concat([fixture("kept/capture.pcap").subarray(0, 20), Buffer.from([127, 0, 0, 0])]), true],
    ["a packet longer than any", Buffer.concat([fixture("kept/capture.pcap").subarray(0, 24), Buffer.alloc(16, 0x7f)]), true],
  ])("%s is no capture", (_what, bytes, broken) => {
    expect(read(bytes)).toEqual({ probes: [], quotes: [], broken });
  });

  test("of a machine with the other byte order, and with nanoseconds", () => {
    const bytes = fixture("kept/capture.pcap");
    const swapped = Buffer.from(bytes);
    swapped.writeUInt32BE(0xa1b23c4d, 0);
    swapped.writeUInt32BE(bytes.readUInt32LE(20), 20);
    for (let at = 24; at < bytes.length; at += 16 + bytes.readUInt32LE(at + 8)) {
      for (const field of [0, 4, 8, 12])
        swapped.writeUInt32BE(bytes.readUInt32LE(at + field) * (field === 4 ? 1000 : 1), at + field);
    }
    expect(new PcapReader().push(swapped)).toEqual(new PcapReader().push(bytes));
  });
});

describe("handshakes", () => {
  const flags = (name: string) => parseHandshakes(fixture(name).toString()).map((each) => each.flags);

  test("with ECN, without, and lost", () => {
    expect(flags("bleached/syn_ecn.stdout")).toEqual(new Array(4).fill("syn,ack,ece"));
    expect(flags("bleached6/syn_plain.stdout")).toEqual(new Array(4).fill("syn,ack"));
    expect(parseHandshakes(fixture("dropped/syn_ecn_2.stdout").toString())).toEqual(
      new Array(6).fill({ addr: null, flags: null, rtt: null }),
    );
  });

  test("flags hold until others are printed, and an ICMP error has none", () => {
    const line = "64  192.0.2.1 <syn,ack>  1.100 ms *  1.200 ms 192.0.2.1 <rst,ack>  1.300 ms 192.0.2.7  1.400 ms !X\n";
    expect(parseHandshakes(line)).toEqual([
      { addr: "192.0.2.1", flags: "syn,ack", rtt: 1.1 },
      { addr: null, flags: null, rtt: null },
      { addr: "192.0.2.1", flags: "syn,ack", rtt: 1.2 },
      { addr: "192.0.2.1", flags: "rst,ack", rtt: 1.3 },
      { addr: "192.0.2.7", flags: null, rtt: 1.4 },
    ]);
  });

  test("a line that was cut off is not read", () => {
    const text = fixture("bleached/syn_ecn.stdout").toString().trimEnd();
    for (let length = 0; length <= text.length; length++) expect(parseHandshakes(text.slice(0, length))).toEqual([]);
  });
});

describe("what is asked of tcpdump", () => {
  const flows = [
    { address: "10.77.100.1", family: 4, source_port: 64_628 },
    { address: "255.255.255.254", family: 4, source_port: 1 },
    { address: "fd77:100::1", family: 6, source_port: 65_499 },
    { address: "fe80::1%eth0", family: 6, source_port: 61_000 },
    { address: "2001:db8::c000:201", family: 6, source_port: 61_000 },
  ] as const;

  test.each(flows)("holds only words and numbers of our own: $address", (flow) => {
    expect(captureFilter(flow)).toMatch(/^(?:ip6?|icmp6?|udp|tcp|src|port|and|or|0x[0-9a-f]{1,8}|\d{1,5}|[ ()[\]:=])+$/);
  });

  test.skipIf(findTool("tcpdump") === undefined)("is a filter that tcpdump can compile (needs tcpdump)", () => {
    for (const flow of flows) {
      const program = execFileSync(findTool("tcpdump") ?? "", ["-d", "-y", "EN10MB", captureFilter(flow)], {
        encoding: "utf8",
        stdio: "pipe",
      });
      expect(program).toContain("ret      #0");
    }
  });
});

describe("a running capture", () => {
  const FLOW = { address: "10.77.100.1", family: 4, source_port: 64_628 } as const;
  const play = (script: string) => vi.stubEnv("STREAMSWARM_TOOL_PATH", `${fakeTools({ tcpdump: script })}:/usr/bin:/bin`);
  const LISTEN = "echo 'tcpdump: listening on any, link-type LINUX_SLL2' >&2";
  const start = () => Capture.start(FLOW, 5000, AbortSignal.timeout(5000));
  beforeEach(() => vi.unstubAllEnvs());
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test("takes no other traffic for its own: other ports, other targets, errors about others' packets", async () => {
    play(`${LISTEN}; cat ${FIXTURES}foreign.pcap; exec sleep 60`);
    const capture = await start();
    if ("error" in capture) throw new Error(capture.error.message);
    await capture.until((packets) => packets.length >= 6, 3000);
    await capture.end();
    const all = read(fixture("foreign.pcap"));
    expect(all.quotes.length).toBeGreaterThan(10);
    expect(new Set(all.quotes.map(({ probe }) => probe.tos))).toEqual(new Set([0, 40, 0xba]));
    expect(capture.packets).toHaveLength(6);
    const { seen } = sightingsOf(capture.packets);
    const hops = markHops(seen, [], FLOW.address);
    expect(hops.map(({ addr, dscp, ecn }) => [addr, dscp, ecn])).toEqual([
      ["10.77.1.1", 46, 2],
      ["10.77.2.2", 46, 2],
      ["10.77.100.1", 46, 2],
    ]);
    expect([dscpChange(hops, 46), ecnChange(hops), reachOf(hops, FLOW.address)]).toEqual([
      null,
      null,
      { checked: 3, until: 3, target: true },
    ]);
    expect(capture.failure).toBeUndefined();
  });

  test("that shows a packet on two interfaces counts it once", async () => {
    const bytes = fixture("kept/capture.pcap");
    const records = [bytes.subarray(0, 24)];
    for (let at = 24; at < bytes.length; ) {
      const record = bytes.subarray(at, at + 16 + bytes.readUInt32LE(at + 8));
      records.push(record, record);
      at += record.length;
    }
    const doubled = Buffer.concat(records);
    play(`${LISTEN}; printf '%s' '${doubled.toString("base64")}' | base64 -d; exec sleep 60`);
    const capture = await start();
    if ("error" in capture) throw new Error(capture.error.message);
    await capture.until((packets) => packets.length >= 6, 3000);
    await capture.end();
    expect(capture.packets.map((packet) => ("sent" in packet ? "sent" : "quote"))).toEqual([
      "sent",
      "quote",
      "sent",
      "quote",
      "sent",
      "quote",
    ]);
  });

  test.each([
    ["may not capture", 'echo "tcpdump: any: You don\'t have permission to capture on that device" >&2; exit 1', "no_permission"],
    ["ends at once", "exit 3", "tool_failed"],
    ["knows an option not", "echo 'tcpdump: unrecognized option' >&2; exit 1", "tool_failed"],
  ])("that %s says so", async (_what, script, code) => {
    play(script);
    expect(await start()).toMatchObject({ error: { code } });
  });

  test.each([
    ["is killed", "kill -9 $$", "tool_failed"],
    ["writes text", "echo 'this is not what a capture looks like, not at all'; exec sleep 60", "unreadable_output"],
    ["ends", "exit 0", "tool_failed"],
  ])("that %s later tells why it sees nothing", async (_what, script, code) => {
    play(`${LISTEN}; sleep 0.1; ${script}`);
    const capture = await start();
    if ("error" in capture) throw new Error(capture.error.message);
    await capture.until(() => false, 3000);
    expect(capture.failure).toMatchObject({ error: { code } });
    await capture.end();
  });

  test("needs tcpdump, and names what installs it", async () => {
    vi.stubEnv("STREAMSWARM_TOOL_PATH", fakeTools({}));
    expect(await start()).toMatchObject({
      reason: "tool_missing",
      error: { code: "tool_missing", message: expect.stringMatching(/install/) },
    });
  });
});

// The dns type against servers that lie, babble, hang or answer for somebody else.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { metricsOf } from "#contract/metrics";
import type { Measurement } from "#contract/result";
import { loadCodec } from "../../agent/dns/codec.ts";
import { MessageReader } from "../../agent/dns/stream.ts";
import type { ResolverDetail } from "../../agent/probes/dns-report.ts";
import { runTest } from "../../agent/runner.ts";
import { a, answers, type Behaviour, closeResolvers, framed, resolver, response } from "./helpers/dns-server.ts";
import { generator } from "./helpers/mutations.ts";

afterEach(closeResolvers);

const probe = (params: Record<string, unknown>): Promise<Measurement> =>
  runTest({ type: "dns", destination: "host.example", params }, new AbortController().signal);

const answersOf = (result: Measurement): readonly string[] | undefined =>
  (result.detail.resolvers as ResolverDetail[])[0]?.answers;

function measuredNothing(result: Measurement): void {
  const facts = ["dns_query_ms", "dns_answers", "dns_answers_hash", "dns_ttl_min", "dns_response_bytes", "dns_aa"] as const;
  for (const name of facts) {
    expect(result.metrics[name], name).toBeNull();
    expect(result.reasons[name], name).toBeTypeOf("string");
  }
  expect(new Set(Object.keys(result.metrics))).toEqual(new Set(metricsOf("dns")));
}

/** The query's own header and question turned into a response, with anything behind it. */
function forged(raw: Buffer, counts: readonly number[], rest: Buffer): Buffer {
  const head = Buffer.from(raw.subarray(0, 12));
  head.writeUInt16BE(0x8180, 2);
  counts.forEach((count, i) => {
    head.writeUInt16BE(count, 4 + 2 * i);
  });
  const question = raw.subarray(12, raw.indexOf(0, 12) + 5);
  return Buffer.concat([head, question, rest]);
}

const record = (type: number, data: Buffer, name = Buffer.from([0xc0, 12])): Buffer => {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(60, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([name, fixed, data]);
};

describe("datagrams that are no answer are passed over until the true one comes", () => {
  const evil = (name: string) => ({ answers: [a(name, "203.0.113.66")] });
  const lies: [string, Behaviour][] = [
    ["another id", (asked) => asked.send(response(asked, { ...evil(asked.name), id: ((asked.query.id ?? 0) + 1) & 0xffff }))],
    [
      "another name",
      (asked) => asked.send(response(asked, { ...evil("evil.example"), questions: [{ name: "evil.example", type: "A" }] })),
    ],
    [
      "another type",
      (asked) => asked.send(response(asked, { ...evil(asked.name), questions: [{ name: asked.name, type: "TXT" }] })),
    ],
    ["no question", (asked) => asked.send(response(asked, { ...evil(asked.name), questions: [] }))],
    ["the query itself", (asked) => asked.send(asked.raw)],
    ["an empty datagram", (asked) => asked.send(Buffer.alloc(0))],
    ["half a header", (asked) => asked.send(response(asked, evil(asked.name)).subarray(0, 6))],
    ["half a record", (asked) => asked.send(response(asked, evil(asked.name)).subarray(0, -3))],
    [
      "65 KB of zeros with the right id",
      (asked) => asked.send(Buffer.concat([asked.raw.subarray(0, 2), Buffer.from([0x81, 0x80]), Buffer.alloc(65_000)])),
    ],
    [
      "65 KB of 0xff with the right id",
      (asked) => asked.send(Buffer.concat([asked.raw.subarray(0, 2), Buffer.alloc(65_000, 0xff)])),
    ],
    [
      "a name that points at itself",
      (asked) => asked.send(forged(asked.raw, [1, 1, 0, 0], Buffer.from("c01ec01e00010001000000040004c0000201", "hex"))),
    ],
    ["an address of three bytes", (asked) => asked.send(forged(asked.raw, [1, 1, 0, 0], record(1, Buffer.from([1, 2, 3]))))],
    [
      "65,535 records announced",
      (asked) => asked.send(forged(asked.raw, [1, 65_535, 0, 0], record(1, Buffer.from([1, 2, 3, 4])))),
    ],
  ];
  test.each(lies)("%s", async (_name, lie) => {
    const server = await resolver((asked, index) => {
      lie(asked, index);
      setTimeout(() => answers("192.0.2.1")(asked, index), 20);
    });
    const result = await probe({ resolver: server.address });
    expect(result.status).toBe("ok");
    expect(answersOf(result)).toEqual(["192.0.2.1"]);
  });

  test("one from another port, with everything else right", async () => {
    const other = createSocket("udp4");
    other.bind(0, "127.0.0.1");
    await once(other, "listening");
    const server = await resolver((asked, index) => {
      const { port = 0, address = "" } = asked.remote ?? {};
      other.send(response(asked, evil(asked.name)), port, address, () => {
        setTimeout(() => answers("192.0.2.1")(asked, index), 20);
      });
    });
    const result = await probe({ resolver: server.address });
    other.close();
    expect(answersOf(result)).toEqual(["192.0.2.1"]);
  });

  test.each(lies)("%s and nothing else is no answer, told as it was", async (_name, lie) => {
    const server = await resolver(lie);
    const result = await probe({ resolver: server.address, timeout: 0.2 });
    expect(result.status).toBe("failed");
    expect(["dns_timeout", "bad_response"]).toContain(result.error?.code);
    measuredNothing(result);
    expect(result.duration_ms).toBeLessThan(260);
  });

  test("a flood of them ends the query instead of the host", async () => {
    const server = await resolver((asked) => {
      for (let i = 0; i < 300; i++) asked.send(Buffer.alloc(20, 7));
    });
    const result = await probe({ resolver: server.address, timeout: 5 });
    expect(result.error?.code).toMatch(/bad_response|dns_timeout/);
    measuredNothing(result);
  });
});

describe("answers that are hard to read", () => {
  test("pointers to pointers in every record cost no more than tens of milliseconds", async () => {
    const codec = await loadCodec();
    const question = { name: "a", type: "A", recursion: true, dnssec: false };
    const query = codec.query(7, question);
    const links: Buffer[] = [];
    // Each pointer names the one before it, all the way through what a pointer can reach.
    for (let at = 19; at + 2 < 16_000; at += 2) links.push(Buffer.from([0xc0 | ((at - 2) >> 8), (at - 2) & 0xff]));
    const chain = record(16, Buffer.concat([Buffer.from([0, 0]), ...links]));
    const last = 12 + 7 + chain.length - 2;
    const pointer = Buffer.from([0xc0 | (last >> 8), last & 0xff]);
    const many = Array.from({ length: 990 }, () => record(1, Buffer.from([1, 2, 3, 4]), pointer));
    const message = forged(query, [1, 991, 0, 0], Buffer.concat([chain, ...many]));
    const start = performance.now();
    const reading = codec.read(message, 7, question);
    expect(performance.now() - start).toBeLessThan(300);
    expect(reading.ok ? reading.reply.answers : []).toEqual([]);
  });

  test("no truncation or mutation of a message throws, and none yields an address it does not hold", async () => {
    const codec = await loadCodec();
    const question = { name: "host.example", type: "A", recursion: true, dnssec: true };
    const query = codec.query(4711, question);
    const good = forged(
      query,
      [1, 2, 0, 0],
      Buffer.concat([record(5, Buffer.from("c011", "hex")), record(1, Buffer.from([192, 0, 2, 1]))]),
    );
    for (let length = 0; length < good.length; length++) {
      const reading = codec.read(good.subarray(0, length), 4711, question);
      expect(reading.ok, `cut at ${length}`).toBe(false);
    }
    const random = generator(20261123);
    let understood = 0;
    for (let i = 0; i < 20_000; i++) {
      const bytes = Buffer.from(good);
      for (let change = 0; change < 1 + random() * 3; change++)
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      const reading = codec.read(bytes, 4711, question);
      if (!reading.ok) continue;
      understood += 1;
      for (const { data } of reading.reply.answers) {
        expect(bytes.includes(Buffer.from(data.split(".").map(Number))), `mutation ${i}: ${data}`).toBe(true);
      }
    }
    expect(understood).toBeGreaterThan(0);
  });

  test("nothing a server sends reaches the terminal as a control character", async () => {
    const name = "\u001b]0;x\u0007.example";
    const server = await resolver((asked) =>
      asked.send(response(asked, { answers: [{ name: asked.name, type: "CNAME", ttl: 1, data: name }] })),
    );
    const result = await probe({ resolver: server.address, record_type: "CNAME" });
    expect(answersOf(result)).toEqual(["\\027]0;x\\007.example"]);
    expect(JSON.stringify(result)).not.toMatch(/\\u00/);
  });

  test("a time to live with the highest bit set is zero (RFC 2181)", async () => {
    const server = await resolver((asked) => asked.send(response(asked, { answers: [a(asked.name, "192.0.2.1", 0xffffffff)] })));
    expect((await probe({ resolver: server.address })).metrics.dns_ttl_min).toBe(0);
  });
});

describe("over TCP", () => {
  const tcp = async (behave: (raw: Buffer, socket: Socket) => void, params: Record<string, unknown> = {}) => {
    const server = await resolver(
      () => undefined,
      (asked) => {
        if (asked.socket !== undefined) behave(asked.raw, asked.socket);
      },
    );
    return probe({ resolver: server.address, transport: "tcp", timeout: 0.3, ...params });
  };
  const answerTo = (raw: Buffer) => framed(forged(raw, [1, 1, 0, 0], record(1, Buffer.from([192, 0, 2, 1]))));

  test("an answer in single bytes is put together", async () => {
    const result = await tcp((raw, socket) => {
      for (const byte of answerTo(raw)) socket.write(Buffer.from([byte]));
    });
    expect(answersOf(result)).toEqual(["192.0.2.1"]);
  });

  test("one connection serves every query of a run", async () => {
    const ports = new Set<number | undefined>();
    const result = await tcp(
      (raw, socket) => {
        ports.add(socket.remotePort);
        socket.write(answerTo(raw));
      },
      { count: 3, interval: 0.1 },
    );
    expect(result).toMatchObject({ status: "ok", metrics: { dns_received: 3 } });
    expect(ports.size).toBe(1);
  });

  test("a server that hangs up after each answer is connected to anew", async () => {
    const result = await tcp((raw, socket) => socket.end(answerTo(raw)), { count: 2, interval: 0.1 });
    expect(result).toMatchObject({ status: "ok", metrics: { dns_received: 2 } });
  });

  const lies: [string, (raw: Buffer, socket: Socket) => void, RegExp][] = [
    [
      "a length beyond what is sent, then silence",
      (raw, socket) => void socket.write(Buffer.concat([Buffer.from([0xff, 0xff]), raw])),
      /dns_timeout/,
    ],
    [
      "a length beyond what is sent, then the end",
      (raw, socket) => void socket.end(Buffer.concat([Buffer.from([0xff, 0xff]), raw])),
      /reset/,
    ],
    ["a length of zero", (_raw, socket) => void socket.write(Buffer.from([0, 0])), /bad_response/],
    [
      "another id",
      (raw, socket) => void socket.write(framed(Buffer.concat([Buffer.from([raw.readUInt8(0) ^ 1]), raw.subarray(1)]))),
      /bad_response/,
    ],
    [
      "garbage",
      (raw, socket) => void socket.write(framed(Buffer.concat([raw.subarray(0, 2), Buffer.alloc(60_000, 0x81)]))),
      /bad_response/,
    ],
    ["nothing", () => undefined, /dns_timeout/],
    ["the end at once", (_raw, socket) => void socket.end(), /reset/],
    ["a reset", (_raw, socket) => void socket.resetAndDestroy(), /reset/],
  ];
  test.each(lies)("%s", async (_name, lie, code) => {
    const result = await tcp(lie);
    expect(result.status).toBe("failed");
    expect(result.error?.code).toMatch(code);
    expect(result.error?.source).toBe("resolver");
    measuredNothing(result);
    expect(result.metrics.dns_connect_ms).toBeTypeOf("number");
    expect(result.duration_ms).toBeLessThan(360);
  });

  test("answers without end stop at the deadline or before, and memory does not grow", async () => {
    const result = await tcp((raw, socket) => {
      const repeated = Buffer.concat(
        Array.from({ length: 500 }, () => framed(Buffer.concat([raw.subarray(0, 2), Buffer.alloc(500, 0x80)]))),
      );
      const pour = () => {
        if (!socket.destroyed) socket.write(repeated, () => setImmediate(pour));
      };
      pour();
    });
    expect(result.error?.code).toBe("bad_response");
    expect(result.duration_ms).toBeLessThan(360);
  });

  test("messages are cut apart wherever the stream was cut", () => {
    const messages = [Buffer.from("first"), Buffer.alloc(0), Buffer.alloc(300, 1), Buffer.from("x")];
    const stream = Buffer.concat(messages.map(framed));
    for (let size = 1; size < 12; size++) {
      const reader = new MessageReader();
      const seen: Buffer[] = [];
      for (let at = 0; at < stream.length; at += size) seen.push(...reader.push(stream.subarray(at, at + size)));
      expect(seen.map(String), `pieces of ${size}`).toEqual(messages.map(String));
      expect(reader.partial).toBe(false);
    }
  });
});

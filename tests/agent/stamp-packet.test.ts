// STAMP packets byte by byte (RFC 8762 figures 2, 3, 4 and 6, RFC 8972), their clocks and their HMAC.
import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { deriveKey, newSecret, parseSecret, secretText, sessionOf } from "../../agent/stamp/key.ts";
import {
  decodeErrorEstimate,
  decodeReflector,
  decodeSender,
  encodeErrorEstimate,
  encodeReflection,
  encodeSender,
  isReflection,
  readNtpTime,
  verifyMac,
  writeNtpTime,
} from "../../agent/stamp/packet.ts";
import { generator, mutate } from "./helpers/mutations.ts";

const KEY = Buffer.alloc(32, 7);
const ESTIMATE = { synchronised: true, ptp: false, error_ms: 1 };
const SENDER = { sequence: 0x01020304, sent_ms: Date.UTC(2026, 5, 1, 12) + 0.5, estimate: ESTIMATE, ssid: 0xabcd };
const REFLECTION = {
  sequence: 9,
  received_ms: Date.UTC(2026, 5, 1, 12) + 20,
  sent_ms: Date.UTC(2026, 5, 1, 12) + 20.25,
  estimate: { synchronised: false, ptp: false, error_ms: 3 },
  ttl: 61,
};

const ntp = (epoch_ms: number): Buffer => {
  const bytes = Buffer.alloc(8);
  writeNtpTime(bytes, 0, epoch_ms);
  return bytes;
};

test.each([
  ["1900-01-01T00:00:00Z of era 1, 2036-02-07T06:28:16Z", Date.UTC(2036, 1, 7, 6, 28, 16), "0000000000000000"],
  ["1970-01-01T00:00:00Z", 0, "83aa7e8000000000"],
  ["half a second is half of the fraction", 500, "83aa7e8080000000"],
  ["1999-12-31T23:59:59.750Z", Date.UTC(1999, 11, 31, 23, 59, 59, 750), "bc17c1ffc0000000"],
])("NTP time: %s", (_, epoch_ms, hex) => {
  expect(ntp(epoch_ms).toString("hex")).toBe(hex);
  expect(readNtpTime(Buffer.from(hex, "hex"), 0)).toBe(epoch_ms);
});

test("an NTP time keeps its microseconds there and back, in both eras", () => {
  const random = generator(3);
  for (let i = 0; i < 2000; i++) {
    const epoch_ms = random() * 4e12;
    expect(Math.abs(readNtpTime(ntp(epoch_ms), 0) - epoch_ms)).toBeLessThan(0.0006);
  }
  // A fraction that rounds up to a whole second carries into the seconds.
  expect(readNtpTime(ntp(999.9999999), 0)).toBe(1000);
});

test.each([
  [{ synchronised: true, ptp: false, error_ms: 0 }, 0x8001],
  [{ synchronised: false, ptp: false, error_ms: 1000 }, 0x1980],
  [{ synchronised: true, ptp: true, error_ms: 1000 }, 0xd980],
  [{ synchronised: false, ptp: false, error_ms: null }, 0x3fff],
])("an error estimate %j is the field %i", (estimate, field) => {
  expect(encodeErrorEstimate(estimate)).toBe(field);
});

test("an error estimate never claims less than it was given, nor more than 1 % above, and multiplier 0 claims nothing", () => {
  const random = generator(5);
  for (let i = 0; i < 2000; i++) {
    const error_ms = 10 ** (random() * 9 - 4);
    const told = decodeErrorEstimate(encodeErrorEstimate({ synchronised: false, ptp: false, error_ms })).error_ms ?? 0;
    expect(told).toBeGreaterThanOrEqual(error_ms);
    expect(told).toBeLessThan(error_ms * 1.01);
  }
  expect(decodeErrorEstimate(0x8100)).toEqual({ synchronised: true, ptp: false, error_ms: null });
});

test("a sender's open packet is 44 bytes with number, time, estimate and session where the RFCs put them", () => {
  const packet = encodeSender(SENDER, 0);
  expect(packet).toHaveLength(44);
  expect(packet.subarray(0, 4).toString("hex")).toBe("01020304");
  expect(packet.subarray(4, 12)).toEqual(ntp(SENDER.sent_ms));
  expect(packet.readUInt16BE(12)).toBe(encodeErrorEstimate(ESTIMATE));
  expect(packet.subarray(14, 16).toString("hex")).toBe("abcd");
  expect(packet.subarray(16)).toEqual(Buffer.alloc(28));
  expect(decodeSender(packet, "open")).toMatchObject({ sequence: 0x01020304, ssid: 0xabcd, sent_ms: SENDER.sent_ms });
});

test("a sender's authenticated packet is 112 bytes and ends in the first half of HMAC-SHA-256 over the first 96", () => {
  const packet = encodeSender(SENDER, 0, KEY);
  expect(packet).toHaveLength(112);
  expect(packet.subarray(0, 4).toString("hex")).toBe("01020304");
  expect(packet.subarray(4, 16)).toEqual(Buffer.alloc(12));
  expect(packet.subarray(16, 24)).toEqual(ntp(SENDER.sent_ms));
  expect(packet.subarray(26, 28).toString("hex")).toBe("abcd");
  expect(packet.subarray(28, 96)).toEqual(Buffer.alloc(68));
  const mac = createHmac("sha256", KEY).update(packet.subarray(0, 96)).digest();
  expect(packet.subarray(96)).toEqual(mac.subarray(0, 16));
  expect(decodeSender(packet, "authenticated")).toMatchObject({ sequence: 0x01020304, ssid: 0xabcd });
});

test.each([
  ["open", undefined, { received: 16, number: 24, time: 28, estimate: 36, ttl: 40, sent: 4 }],
  ["authenticated", KEY, { received: 32, number: 48, time: 64, estimate: 72, ttl: 80, sent: 16 }],
] as const)("a reflector's %s packet holds both its times and copies the sender's fields as bytes", (mode, key, at) => {
  const request = encodeSender(SENDER, 200, key);
  // Truncated PTP: a format the reflector need not understand to copy it.
  request.writeUInt16BE(0xc001, mode === "open" ? 12 : 24);
  const reply = encodeReflection(request, REFLECTION, key) ?? Buffer.alloc(0);
  expect(reply).toHaveLength(200);
  expect(reply.readUInt32BE(0)).toBe(9);
  expect(reply.subarray(at.sent, at.sent + 8)).toEqual(ntp(REFLECTION.sent_ms));
  expect(reply.subarray(at.received, at.received + 8)).toEqual(ntp(REFLECTION.received_ms));
  expect(reply.readUInt32BE(at.number)).toBe(SENDER.sequence);
  expect(reply.subarray(at.time, at.time + 8)).toEqual(ntp(SENDER.sent_ms));
  expect(reply.readUInt16BE(at.estimate)).toBe(0xc001);
  expect(reply[at.ttl]).toBe(61);
  if (key !== undefined) expect(verifyMac(reply, key)).toBe(true);
  const told = decodeReflector(reply, mode);
  expect(told).toMatchObject({ sequence: 9, ssid: 0xabcd, sender: { sequence: SENDER.sequence, ttl: 61 } });
  expect(told?.sent_ms).toBeCloseTo(REFLECTION.sent_ms, 3);
  expect(told?.received_ms).toBeCloseTo(REFLECTION.received_ms, 3);
  expect(told?.estimate.error_ms).toBeGreaterThanOrEqual(3);
  expect(isReflection(reply, mode)).toBe(true);
  expect(isReflection(request, mode)).toBe(false);
});

test("truncated PTP times are read by their own scale, and a TTL of 0 or 255 says nothing", () => {
  const reply = Buffer.alloc(44);
  reply.writeUInt32BE(1_780_000_000, 4);
  reply.writeUInt32BE(250_000_000, 8);
  reply.writeUInt16BE(0x4001, 12);
  reply.writeUInt8(255, 40);
  expect(decodeReflector(reply, "open")).toMatchObject({
    sent_ms: 1_780_000_000_250,
    estimate: { ptp: true },
    sender: { ttl: null },
  });
  const unknown = encodeReflection(encodeSender(SENDER, 0), { ...REFLECTION, ttl: null }) ?? Buffer.alloc(0);
  expect(decodeReflector(unknown, "open")?.sender.ttl).toBeNull();
});

test("any changed bit of the first 112 bytes is noticed by the HMAC, and so is another key", () => {
  const packet = encodeSender(SENDER, 150, KEY);
  expect(verifyMac(packet, KEY)).toBe(true);
  for (let bit = 0; bit < 112 * 8; bit++) {
    const copy = Buffer.from(packet);
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(verifyMac(copy, KEY)).toBe(false);
  }
  expect(verifyMac(packet, Buffer.alloc(32, 8))).toBe(false);
});

test("whatever bytes come, decoding answers a packet or nothing, and never one from too few bytes", () => {
  const random = generator(11);
  const sender = encodeSender(SENDER, 172, KEY);
  const reply = encodeReflection(sender, REFLECTION, KEY) ?? Buffer.alloc(0);
  for (let i = 0; i < 4000; i++) {
    const bytes = mutate(i % 2 === 0 ? sender : reply, random, [sender, reply]);
    for (const [mode, base] of [
      ["open", 44],
      ["authenticated", 112],
    ] as const) {
      const told = [decodeSender(bytes, mode), decodeReflector(bytes, mode)];
      for (const packet of told) {
        expect(packet !== undefined).toBe(bytes.length >= base);
        if (packet !== undefined) expect(Number.isFinite(packet.sent_ms)).toBe(true);
      }
    }
    const covered = bytes.subarray(0, 112);
    const untouched = covered.equals(sender.subarray(0, 112)) || covered.equals(reply.subarray(0, 112));
    expect(verifyMac(bytes, KEY)).toBe(untouched);
    expect(encodeReflection(bytes, REFLECTION, KEY)?.length).toBe(bytes.length >= 112 ? bytes.length : undefined);
  }
});

test("a key belongs to one secret and one session identifier, and is what the derivation says", () => {
  const secret = Buffer.alloc(32, 1);
  const expected = createHmac("sha256", secret).update(Buffer.from("stamp-session\x12\x34", "latin1")).digest();
  expect(deriveKey(secret, 0x1234)).toEqual(expected);
  expect(deriveKey(secret, 0x1235)).not.toEqual(expected);
  expect(deriveKey(Buffer.alloc(32, 2), 0x1234)).not.toEqual(expected);
  const session = sessionOf(secret);
  expect(session.ssid).toBeGreaterThan(0);
  expect(session.key).toEqual(deriveKey(secret, session.ssid));
});

test("a secret survives being pasted, and nothing else passes for one", () => {
  const secret = newSecret();
  expect(secret).toHaveLength(32);
  expect(parseSecret(` ${secretText(secret)}\n`)).toEqual(Buffer.from(secret));
  for (const text of ["", "abc", `${secretText(secret)}A`, secretText(secret).slice(1), "+".repeat(43), "=".repeat(43)]) {
    expect(parseSecret(text)).toBeUndefined();
  }
});

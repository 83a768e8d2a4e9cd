// STAMP test packets (RFC 8762) with the session identifier of RFC 8972, unauthenticated and authenticated. No sockets here.
import { createHmac, timingSafeEqual } from "node:crypto";

/** `open`: unauthenticated, RFC 8762 sections 4.2.1 and 4.3.1. `authenticated`: sections 4.2.2 and 4.3.2. */
export type StampMode = "open" | "authenticated";

/** Length of the base packet, bytes; both directions have the same. What follows is padding or TLVs (RFC 8972). */
export const BASE_LENGTH: Record<StampMode, number> = { open: 44, authenticated: 112 };

/** The HMAC covers the first six 16-byte blocks and follows them (RFC 8762 section 4.4). */
const MAC_OFFSET = 96;
const MAC_LENGTH = 16;

/**
 * Sender TTLs that say nothing: 0, which no packet arrives with and our replies carry, as this runtime's sockets do not tell
 * the TTL; and 255, the value at sending (RFC 5357 section 4.2.1), left by reflectors that do not fill it in.
 */
export const TTL_UNKNOWN: readonly number[] = [0, 255];

/** How well a clock is known (RFC 4656 section 4.1.2, RFC 8186 for the format). */
export interface ErrorEstimate {
  /** S: the clock is synchronised to UTC by an external source. */
  readonly synchronised: boolean;
  /** Z: timestamps are truncated PTP ones (RFC 8186) instead of NTP ones. */
  readonly ptp: boolean;
  /** Bound of the clock's error, milliseconds; null where the packet carries the multiplier 0, which says nothing. */
  readonly error_ms: number | null;
}

export interface SenderPacket {
  readonly sequence: number;
  /** T1, epoch milliseconds. */
  readonly sent_ms: number;
  readonly estimate: ErrorEstimate;
  /** 0 where the sender gives none. */
  readonly ssid: number;
}

export interface ReflectorPacket {
  /** The reflector's own count in stateful mode, else a copy of `sender.sequence`. */
  readonly sequence: number;
  /** T2, epoch milliseconds by the reflector's clock. */
  readonly received_ms: number;
  /** T3, epoch milliseconds by the reflector's clock. */
  readonly sent_ms: number;
  readonly estimate: ErrorEstimate;
  readonly ssid: number;
  /** What the reflector read of the packet it answers. */
  readonly sender: { readonly sequence: number; readonly sent_ms: number; readonly ttl: number | null };
}

/** What a reflector adds to the packet it answers; times are epoch milliseconds, `ttl` the received TTL or hop limit. */
export interface Reflection {
  readonly sequence: number;
  readonly received_ms: number;
  readonly sent_ms: number;
  readonly estimate: ErrorEstimate;
  readonly ttl: number | null;
}

/** Where the fields of a form are, byte offsets. */
interface SenderLayout {
  readonly sequence: number;
  readonly timestamp: number;
  readonly estimate: number;
  readonly ssid: number;
}

interface ReflectorLayout extends SenderLayout {
  readonly received: number;
  readonly senderSequence: number;
  readonly senderTimestamp: number;
  readonly senderEstimate: number;
  readonly ttl: number;
}

const OPEN_HEAD: SenderLayout = { sequence: 0, timestamp: 4, estimate: 12, ssid: 14 };
const AUTHENTICATED_HEAD: SenderLayout = { sequence: 0, timestamp: 16, estimate: 24, ssid: 26 };
const SENDER: Record<StampMode, SenderLayout> = { open: OPEN_HEAD, authenticated: AUTHENTICATED_HEAD };
const REFLECTOR: Record<StampMode, ReflectorLayout> = {
  open: { ...OPEN_HEAD, received: 16, senderSequence: 24, senderTimestamp: 28, senderEstimate: 36, ttl: 40 },
  authenticated: { ...AUTHENTICATED_HEAD, received: 32, senderSequence: 48, senderTimestamp: 64, senderEstimate: 72, ttl: 80 },
};

/** Seconds from 1900 (NTP era 0) to 1970. */
const NTP_TO_UNIX_S = 2_208_988_800;
const ERA_S = 2 ** 32;
const PTP_BIT = 0x4000;

/**
 * Writes an epoch time in milliseconds as an NTP timestamp (RFC 5905 section 6). A double holds today's time to 0.25 µs,
 * and nothing is lost beyond that.
 */
export function writeNtpTime(packet: Buffer, offset: number, epoch_ms: number): void {
  const seconds = Math.floor(epoch_ms / 1000);
  const fraction = Math.round(((epoch_ms - seconds * 1000) / 1000) * ERA_S);
  const whole = seconds + NTP_TO_UNIX_S + (fraction === ERA_S ? 1 : 0);
  packet.writeUInt32BE(((whole % ERA_S) + ERA_S) % ERA_S, offset);
  packet.writeUInt32BE(fraction % ERA_S, offset + 4);
}

/** Epoch milliseconds of an NTP timestamp between 1968 and 2104 (the eras as RFC 4330 section 3 tells them apart). */
export function readNtpTime(packet: Buffer, offset: number): number {
  const seconds = packet.readUInt32BE(offset);
  const era = seconds < 2 ** 31 ? ERA_S : 0;
  return (seconds + era - NTP_TO_UNIX_S) * 1000 + (packet.readUInt32BE(offset + 4) * 1000) / ERA_S;
}

/** Epoch milliseconds of a truncated PTP timestamp (RFC 8186): seconds and nanoseconds, in whatever time scale the sender keeps. */
function readPtpTime(packet: Buffer, offset: number): number {
  return packet.readUInt32BE(offset) * 1000 + packet.readUInt32BE(offset + 4) / 1e6;
}

/** The field for an error bound: the smallest multiplier · 2^scale · 2^-32 s that is not below it; unknown becomes the largest. */
export function encodeErrorEstimate(estimate: ErrorEstimate): number {
  const units = (Math.max(0, estimate.error_ms ?? Number.POSITIVE_INFINITY) / 1000) * ERA_S;
  const scale = Number.isFinite(units) ? Math.min(63, Math.max(0, Math.ceil(Math.log2(units / 255)))) : 63;
  const multiplier = Math.min(255, Math.max(1, Math.ceil(units / 2 ** scale)));
  return (estimate.synchronised ? 0x8000 : 0) | (estimate.ptp ? PTP_BIT : 0) | (scale << 8) | multiplier;
}

/** The meaning of an Error Estimate field. */
export function decodeErrorEstimate(field: number): ErrorEstimate {
  const multiplier = field & 0xff;
  const error_ms = multiplier === 0 ? null : (multiplier * 2 ** ((field >> 8) & 0x3f) * 1000) / ERA_S;
  return { synchronised: (field & 0x8000) !== 0, ptp: (field & PTP_BIT) !== 0, error_ms };
}

function readTime(packet: Buffer, offset: number, estimate: number): number {
  return (estimate & PTP_BIT) !== 0 ? readPtpTime(packet, offset) : readNtpTime(packet, offset);
}

function macOf(packet: Buffer, key: Uint8Array): Buffer {
  return createHmac("sha256", key).update(packet.subarray(0, MAC_OFFSET)).digest().subarray(0, MAC_LENGTH);
}

/** Whether an authenticated packet of either direction carries the HMAC of this key; compared in constant time. */
export function verifyMac(packet: Buffer, key: Uint8Array): boolean {
  if (packet.length < BASE_LENGTH.authenticated) return false;
  return timingSafeEqual(macOf(packet, key), packet.subarray(MAC_OFFSET, MAC_OFFSET + MAC_LENGTH));
}

/** Puts the HMAC of this key into an authenticated packet of either direction. */
export function sealMac(packet: Buffer, key: Uint8Array): void {
  macOf(packet, key).copy(packet, MAC_OFFSET);
}

/**
 * A sender's packet, at least the base packet and zero-padded to `length` bytes; authenticated when a key is given.
 * `estimate.ptp` is not honoured: our timestamps are NTP ones.
 */
export function encodeSender(packet: SenderPacket, length: number, key?: Uint8Array): Buffer {
  const mode = key === undefined ? "open" : "authenticated";
  const at = SENDER[mode];
  const bytes = Buffer.alloc(Math.max(BASE_LENGTH[mode], length));
  bytes.writeUInt32BE(packet.sequence >>> 0, at.sequence);
  writeNtpTime(bytes, at.timestamp, packet.sent_ms);
  bytes.writeUInt16BE(encodeErrorEstimate({ ...packet.estimate, ptp: false }), at.estimate);
  bytes.writeUInt16BE(packet.ssid & 0xffff, at.ssid);
  if (key !== undefined) sealMac(bytes, key);
  return bytes;
}

/** Reads a sender's packet; undefined when it is shorter than the mode's base packet. The HMAC is not checked here. */
export function decodeSender(packet: Buffer, mode: StampMode): SenderPacket | undefined {
  if (packet.length < BASE_LENGTH[mode]) return undefined;
  const at = SENDER[mode];
  const estimate = packet.readUInt16BE(at.estimate);
  return {
    sequence: packet.readUInt32BE(at.sequence),
    sent_ms: readTime(packet, at.timestamp, estimate),
    estimate: decodeErrorEstimate(estimate),
    ssid: packet.readUInt16BE(at.ssid),
  };
}

/**
 * The answer to a sender's packet, exactly as long as that (what follows the base packet is zero); authenticated when a key
 * is given. The sender's fields are copied as bytes, whatever timestamp format they have. Undefined when it is too short.
 */
export function encodeReflection(request: Buffer, reflection: Reflection, key?: Uint8Array): Buffer | undefined {
  const mode = key === undefined ? "open" : "authenticated";
  if (request.length < BASE_LENGTH[mode]) return undefined;
  const from = SENDER[mode];
  const at = REFLECTOR[mode];
  const bytes = Buffer.alloc(request.length);
  bytes.writeUInt32BE(reflection.sequence >>> 0, at.sequence);
  writeNtpTime(bytes, at.timestamp, reflection.sent_ms);
  bytes.writeUInt16BE(encodeErrorEstimate({ ...reflection.estimate, ptp: false }), at.estimate);
  request.copy(bytes, at.ssid, from.ssid, from.ssid + 2);
  writeNtpTime(bytes, at.received, reflection.received_ms);
  request.copy(bytes, at.senderSequence, from.sequence, from.sequence + 4);
  request.copy(bytes, at.senderTimestamp, from.timestamp, from.timestamp + 8);
  request.copy(bytes, at.senderEstimate, from.estimate, from.estimate + 2);
  bytes.writeUInt8(reflection.ttl ?? 0, at.ttl);
  if (key !== undefined) sealMac(bytes, key);
  return bytes;
}

/**
 * Whether a packet that should be a sender's carries a receive timestamp, where a sender leaves zeros: then it is an answer,
 * and answering it could make two reflectors, or one and itself, talk for ever.
 */
export function isReflection(packet: Buffer, mode: StampMode): boolean {
  const at = REFLECTOR[mode].received;
  return packet.length >= at + 8 && packet.readBigUInt64BE(at) !== 0n;
}

/** Reads a reflector's packet; undefined when it is shorter than the mode's base packet. The HMAC is not checked here. */
export function decodeReflector(packet: Buffer, mode: StampMode): ReflectorPacket | undefined {
  if (packet.length < BASE_LENGTH[mode]) return undefined;
  const at = REFLECTOR[mode];
  const estimate = packet.readUInt16BE(at.estimate);
  const ttl = packet.readUInt8(at.ttl);
  return {
    sequence: packet.readUInt32BE(at.sequence),
    received_ms: readTime(packet, at.received, estimate),
    sent_ms: readTime(packet, at.timestamp, estimate),
    estimate: decodeErrorEstimate(estimate),
    ssid: packet.readUInt16BE(at.ssid),
    sender: {
      sequence: packet.readUInt32BE(at.senderSequence),
      sent_ms: readTime(packet, at.senderTimestamp, packet.readUInt16BE(at.senderEstimate)),
      ttl: TTL_UNKNOWN.includes(ttl) ? null : ttl,
    },
  };
}

// The little of SIP (RFC 3261) that asking OPTIONS needs: one request written, responses read. Pure; responses are hostile bytes.
import type { SipTransport } from "#contract/test-types/voip";
import { printable } from "../printable.ts";

/** Longest response that is read, bytes; a UDP datagram cannot be longer, and no answer to OPTIONS is. */
export const RESPONSE_MAX = 65_535;
/** Bytes of a connection that are read in all; what is no answer by then is none. */
const READ_MAX = 1 << 20;
/** Most header lines of a response. */
const HEADERS_MAX = 256;
/** Longest reason phrase and server name kept. */
const TEXT_MAX = 100;

export interface OptionsRequest {
  /** As in the Request-URI: a name or an IP literal, IPv6 in brackets, with its port. */
  readonly target: string;
  readonly transport: SipTransport;
  /** Our address and port as the socket has them, IPv6 in brackets. */
  readonly local: string;
  /** Random; names the transaction (RFC 3261 section 8.1.1.7). */
  readonly branch: string;
  readonly callId: string;
  readonly fromTag: string;
}

/** The request as bytes. It asks what the server can, which changes nothing there (RFC 3261 section 11). */
export function optionsRequest({ target, transport, local, branch, callId, fromTag }: OptionsRequest): Buffer {
  const over = transport === "udp" ? "" : `;transport=${transport}`;
  const lines = [
    `OPTIONS sip:${target}${over} SIP/2.0`,
    // rport: answer to the port the request came from, or no answer passes an address translator (RFC 3581).
    `Via: SIP/2.0/${transport.toUpperCase()} ${local};branch=${branch};rport`,
    "Max-Forwards: 70",
    `From: <sip:streamswarm@${local}>;tag=${fromTag}`,
    `To: <sip:${target}>`,
    `Call-ID: ${callId}`,
    "CSeq: 1 OPTIONS",
    `Contact: <sip:streamswarm@${local}${over}>`,
    "Accept: application/sdp",
    "User-Agent: StreamSwarm",
    "Content-Length: 0",
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

export interface SipResponse {
  readonly status: number;
  /** Reason phrase, printable and cut. */
  readonly reason: string;
  /** What the server says it is, if it does. */
  readonly server: string | undefined;
}

export type Reading = { readonly ok: true; readonly response: SipResponse } | { readonly ok: false; readonly why: string };

const readable = (text: string): string => printable(text, TEXT_MAX);

/** Long names of the headers read here that have a short one (RFC 3261 section 7.3.3). */
const COMPACT: Readonly<Record<string, string>> = { v: "via", i: "call-id", l: "content-length" };

/** The first value of each header; a line that begins with space continues the one before (RFC 3261 section 7.3.1). */
function headersOf(lines: readonly string[]): Map<string, string> | undefined {
  if (lines.length > HEADERS_MAX) return undefined;
  const headers = new Map<string, string>();
  for (const line of lines
    .join("\n")
    .replace(/\n[ \t]+/g, " ")
    .split("\n")) {
    const match = /^([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*:[ \t]*(.*)$/.exec(line);
    if (match === null) return undefined;
    const [, name = "", value = ""] = match;
    const known = COMPACT[name.toLowerCase()] ?? name.toLowerCase();
    if (!headers.has(known)) headers.set(known, value.trim());
  }
  return headers;
}

/** Cuts a byte stream into messages by their Content-Length (RFC 3261 section 18.3). Keeps at most one, and copies no byte twice. */
export class ResponseReader {
  readonly #bytes = Buffer.alloc(RESPONSE_MAX);
  #read = 0;
  #size = 0;
  #scanned = 0;
  /** Length of the message that has begun, once its head is whole. */
  #length: number | undefined;

  /** Whole messages that this chunk completes, or why what arrives is no SIP. */
  push(chunk: Buffer): Buffer[] | { readonly why: string } {
    const messages: Buffer[] = [];
    this.#read += chunk.length;
    if (this.#read > READ_MAX) return { why: "came after too many bytes" };
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#size === 0) rest = rest.subarray(blankAhead(rest));
      if (rest.length === 0) break;
      const room = Math.min(this.#wanted(rest), (this.#length ?? RESPONSE_MAX) - this.#size);
      if (room <= 0) return { why: "is too long" };
      rest.copy(this.#bytes, this.#size, 0, room);
      this.#size += room;
      const fault = this.#measure();
      if (fault !== undefined) return { why: fault };
      // Bytes behind this message's end came with this chunk, for the end of its head did.
      const beyond = Math.max(0, this.#size - (this.#length ?? this.#size));
      rest = rest.subarray(room - beyond);
      if (this.#length === undefined || this.#size < this.#length) continue;
      messages.push(Buffer.from(this.#bytes.subarray(0, this.#length)));
      this.#size = this.#scanned = 0;
      this.#length = undefined;
    }
    return messages;
  }

  /** How much of a chunk belongs to this message: up to the next end of a head, while its own is not there. */
  #wanted(rest: Buffer): number {
    const end = this.#length === undefined ? rest.indexOf("\r\n\r\n") : -1;
    return end < 0 ? rest.length : end + 4;
  }

  /** Finds the end of the head once it is there. */
  #measure(): string | undefined {
    if (this.#length !== undefined) return undefined;
    const bytes = this.#bytes.subarray(0, this.#size);
    if (!startsLikeResponse(bytes)) return "is no SIP response";
    const end = bytes.indexOf("\r\n\r\n", Math.max(0, this.#scanned - 3));
    this.#scanned = this.#size;
    if (end < 0) return undefined;
    const headers = headersOf(bytes.toString("latin1", 0, end).split("\r\n").slice(1));
    if (headers === undefined) return "has headers that are none";
    const body = headers.get("content-length") ?? "0";
    if (!/^\d{1,6}$/.test(body)) return "has no readable Content-Length";
    this.#length = end + 4 + Number(body);
    return this.#length > RESPONSE_MAX ? "is too long" : undefined;
  }
}

/** Empty lines before a message are keep-alives (RFC 3261 section 7.5, RFC 5626 section 3.5.1). */
function blankAhead(bytes: Buffer): number {
  const isBlank = (byte: number) => byte === 13 || byte === 10;
  const end = bytes.findIndex((byte) => !isBlank(byte));
  return end < 0 ? bytes.length : end;
}

function startsLikeResponse(bytes: Buffer): boolean {
  const expected = "SIP/2.0 ";
  return expected.startsWith(bytes.toString("latin1", 0, expected.length).toUpperCase());
}

/** Reads a response to this request; a response to another one, or what is none, says why it does not count. */
export function readResponse(bytes: Buffer, request: Pick<OptionsRequest, "branch" | "callId">): Reading {
  const refuse = (why: string): Reading => ({ ok: false, why });
  if (bytes.length > RESPONSE_MAX) return refuse("is too long");
  const head = bytes.toString("latin1");
  const end = head.indexOf("\r\n\r\n");
  if (end < 0) return refuse("has no end of its headers");
  const [first = "", ...lines] = head.slice(0, end).split("\r\n");
  const start = /^SIP\/2\.0 ([1-6]\d\d)(?: (.*))?$/i.exec(first);
  if (start === null) return refuse("is no SIP response");
  const headers = headersOf(lines);
  if (headers === undefined) return refuse("has headers that are none");
  // The top Via's branch and the method name the transaction (RFC 3261 section 17.1.3).
  const branch = /;[ \t]*branch[ \t]*=[ \t]*([^;,\s]+)/i.exec(headers.get("via") ?? "")?.[1];
  if (branch !== request.branch) return refuse("answers another request (branch)");
  if (headers.get("call-id") !== request.callId) return refuse("answers another request (Call-ID)");
  if (!/^1[ \t]+OPTIONS$/.test(headers.get("cseq") ?? "")) return refuse("answers another request (CSeq)");
  const server = headers.get("server") ?? headers.get("user-agent");
  return {
    ok: true,
    response: {
      status: Number(start[1]),
      reason: readable(start[2] ?? ""),
      server: server === undefined || server === "" ? undefined : readable(server),
    },
  };
}

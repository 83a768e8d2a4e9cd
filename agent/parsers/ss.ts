// Reads what `ss -Htino` of iproute2 prints of TCP sockets. Text in, facts out; what is not printed stays absent.

export interface SsSocket {
  readonly state: string;
  /** Bytes not yet acknowledged, or not yet sent. */
  readonly send_queue: number;
  readonly local_port: number;
  readonly peer_port: number;
  readonly info: TcpInfo;
}

/**
 * The kernel's figures of a connection (struct tcp_info, linux/tcp.h). Times in ms, windows as the names say.
 * null is a figure that was not printed; ss leaves out most counters that are zero, which only the caller can tell apart.
 */
export interface TcpInfo {
  readonly rtt_ms: number | null;
  readonly rttvar_ms: number | null;
  readonly min_rtt_ms: number | null;
  readonly rto_ms: number | null;
  readonly mss: number | null;
  readonly pmtu: number | null;
  /** Segments. */
  readonly cwnd: number | null;
  /** Segments. */
  readonly ssthresh: number | null;
  readonly bytes_sent: number | null;
  readonly bytes_acked: number | null;
  readonly data_segs_out: number | null;
  readonly unacked: number | null;
  /** Segments retransmitted over the connection's life, SYNs included. */
  readonly retrans_total: number | null;
  readonly lost: number | null;
  /** Segments the peer has selectively acknowledged above `bytes_acked` just now. */
  readonly sacked: number | null;
  readonly dsack_dups: number | null;
  readonly reord_seen: number | null;
  readonly delivery_rate_bps: number | null;
  /** Since the last acknowledgement came, ms. */
  readonly last_ack_ms: number | null;
  readonly busy_ms: number | null;
  readonly rwnd_limited_ms: number | null;
  readonly sndbuf_limited_ms: number | null;
  readonly snd_wnd: number | null;
  readonly rcv_space: number | null;
  /** Shifts as printed, e.g. `7,10`; null where scaling was not negotiated. */
  readonly wscale: string | null;
  readonly ecn: boolean;
  /** Name of the congestion control. */
  readonly cc: string | null;
}

const SOCKET_LIMIT = 1000;

/** Sockets in the order printed. A socket is one line with its address pair, its figures on the same line or on indented ones. */
export function parseSs(text: string): SsSocket[] {
  const records: string[] = [];
  for (const line of text.split("\n")) {
    if (/^\s/.test(line) && records.length > 0) records[records.length - 1] += ` ${line}`;
    else if (line.trim() !== "") records.push(line);
    if (records.length > SOCKET_LIMIT) break;
  }
  return records.slice(0, SOCKET_LIMIT).flatMap((record) => readSocket(record) ?? []);
}

/** `ESTAB 0 0 192.0.2.1:50000 192.0.2.2:443 …`, IPv6 in brackets, a zone behind `%`. */
const HEAD = /^([A-Z][A-Z0-9-]*)\s+(\d+)\s+(\d+)\s+(\S+):(\d{1,5})\s+(\S+):(\d{1,5})(?:\s+(.*))?$/;

function readSocket(record: string): SsSocket | undefined {
  const head = HEAD.exec(record.trim());
  if (head === null) return undefined;
  const [, state = "", , sendQueue, , localPort, , peerPort, rest = ""] = head;
  const local_port = Number(localPort);
  const peer_port = Number(peerPort);
  if (local_port > 65_535 || peer_port > 65_535) return undefined;
  return { state, send_queue: Number(sendQueue), local_port, peer_port, info: readInfo(rest) };
}

interface Words {
  /** `key:value`, and `key value` of the three rates. */
  readonly pairs: ReadonlyMap<string, string>;
  /** Words without a value, before the first figure: options and the congestion control. */
  readonly flags: readonly string[];
}

const RATES: readonly string[] = ["send", "pacing_rate", "delivery_rate"];

function readWords(text: string): Words {
  const pairs = new Map<string, string>();
  const flags: string[] = [];
  const words = text.split(/\s+/).filter((word) => word !== "");
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    const colon = word.indexOf(":");
    if (colon > 0) pairs.set(word.slice(0, colon), word.slice(colon + 1));
    else if (RATES.includes(word)) pairs.set(word, words[++i] ?? "");
    else if (!pairs.has("rto")) flags.push(word);
  }
  return { pairs, flags };
}

/** Flags ss prints before the congestion control's name. */
const OPTIONS: readonly string[] = ["ts", "sack", "ecn", "ecnseen", "fastopen", "<->", "-->", "<--", "---"];

function readInfo(text: string): TcpInfo {
  const { pairs, flags } = readWords(text);
  const whole = (key: string) => plain(pairs.get(key), /^(\d{1,15})$/);
  const [rtt, rttvar] = (pairs.get("rtt") ?? "").split("/");
  const wscale = pairs.get("wscale");
  const names = flags.filter((flag) => !OPTIONS.includes(flag) && /^[a-z][a-z0-9_-]{1,15}$/.test(flag));
  return {
    rtt_ms: decimal(rtt),
    rttvar_ms: decimal(rttvar),
    min_rtt_ms: decimal(pairs.get("minrtt")),
    rto_ms: decimal(pairs.get("rto")),
    mss: whole("mss"),
    pmtu: whole("pmtu"),
    cwnd: whole("cwnd"),
    ssthresh: whole("ssthresh"),
    bytes_sent: whole("bytes_sent"),
    bytes_acked: whole("bytes_acked"),
    data_segs_out: whole("data_segs_out"),
    unacked: whole("unacked"),
    // `retrans:now/total`
    retrans_total: plain(pairs.get("retrans"), /^\d{1,15}\/(\d{1,15})$/),
    lost: whole("lost"),
    sacked: whole("sacked"),
    dsack_dups: whole("dsack_dups"),
    reord_seen: whole("reord_seen"),
    delivery_rate_bps: plain(pairs.get("delivery_rate"), /^(\d{1,15})bps$/),
    last_ack_ms: whole("lastack"),
    // `busy:960ms rwnd_limited:40ms(4.2%)`
    busy_ms: plain(pairs.get("busy"), /^(\d{1,15})ms$/),
    rwnd_limited_ms: plain(pairs.get("rwnd_limited"), /^(\d{1,15})ms(?:\([\d.]+%\))?$/),
    sndbuf_limited_ms: plain(pairs.get("sndbuf_limited"), /^(\d{1,15})ms(?:\([\d.]+%\))?$/),
    snd_wnd: whole("snd_wnd"),
    rcv_space: whole("rcv_space"),
    wscale: wscale !== undefined && /^\d{1,2},\d{1,2}$/.test(wscale) ? wscale : null,
    ecn: flags.includes("ecn"),
    cc: names.at(-1) ?? null,
  };
}

function plain(text: string | undefined, form: RegExp): number | null {
  const match = form.exec(text ?? "");
  return match === null ? null : Number(match[1]);
}

const decimal = (text: string | undefined): number | null => plain(text, /^(\d{1,12}(?:\.\d{1,6})?)$/);

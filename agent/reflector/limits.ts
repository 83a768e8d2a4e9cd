// Every bound of the reflector in one place. It answers strangers on open ports, so nothing here may grow without one.

export const DEFAULT_PORT = 8862;

export const UDP_LIMITS = {
  /**
   * Sessions at once; a new one is refused when there are as many, those that run keep their quality. Every run of every sender
   * is one, and stays for its silence after the end: 200 senders with a few tests a minute have more than a thousand.
   */
  sessions: 2048,
  /** Of them, for one session identifier: one sender with two tests a second, or a recorded packet sent again from many addresses. */
  sessionsPerSsid: 128,
  /** Answers a second in one session. Senders may go down to 5 ms, which is 200; the rest is for bursts after a stall. */
  sessionRate: 250,
  sessionBurst: 250,
  /** Answers a second in all. */
  totalRate: 5000,
  totalBurst: 5000,
  /** HMACs a second spent on packets of no known session; a packet costs one for each secret in force. */
  strangerRate: 1000,
  strangerBurst: 1000,
  /**
   * HMACs a second for packets of no known session under one name that was proved lately: a few new sessions, with several secrets
   * in force. All names together cost no more than a few percent of a core, even by a flood that knows every one of them.
   */
  provedRate: 20,
  provedBurst: 100,
  /** Such names remembered. */
  proved: 512,
  /** A session ends after this silence, milliseconds. */
  idle_ms: 60_000,
  /** The same while more than half of the sessions there may be are there; senders pause for up to 10 s between two packets. */
  idleCrowded_ms: 15_000,
  /** A secret is taken this long before and after its time, for clocks that differ, milliseconds. */
  secretGrace_ms: 120_000,
  /** Secrets in force at once; more are not looked at. */
  secrets: 4,
  /** Derived keys remembered. */
  keys: 512,
  /** Socket buffer asked for, bytes: what may queue while this process is held up. */
  receiveBuffer: 1 << 20,
} as const;

export const HTTP_LIMITS = {
  /** Bytes of one download or upload. */
  transferBytes: 10_000_000_000,
  /** Longest transfer, milliseconds. */
  transfer_ms: 120_000,
  /** A transfer that does not move for this long is cut, milliseconds. */
  stall_ms: 10_000,
  /** Transfers at once, all of one throughput test. */
  transfers: 32,
  /** The line stays with a test this long after its last transfer, milliseconds: the pause between its phases. */
  linger_ms: 3000,
  /** Bytes an hour for one session identifier (one address in open mode), both directions together. */
  hourBytes: 50_000_000_000,
  /** Holders of such an account remembered; one more is refused until one is full again. */
  accounts: 1024,
  /** Connections at once, and of one IPv4 address or IPv6 network of 64 bits. */
  connections: 256,
  connectionsPerNetwork: 48,
  /** Connections and requests without proof of a key, a second and at once, of one such network. */
  strangerRate: 100,
  strangerBurst: 300,
  /** Networks of which that is remembered; all others share one account. */
  networks: 1024,
  /** Request line and headers: time to arrive, milliseconds, and size, bytes. */
  headers_ms: 5000,
  headerBytes: 4096,
  headerCount: 32,
  /** A connection without a request is closed after this, milliseconds. */
  idle_ms: 5000,
  /** Requests on one connection. */
  requestsPerConnection: 200,
  /** Counts of an upload are sent this often, milliseconds. */
  count_ms: 250,
} as const;

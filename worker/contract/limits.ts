// Every cap both sides obey. Bytes, counts, milliseconds and seconds as the names say.

export const LIMITS = {
  /** Upload as sent (compressed or not), over HTTPS or as one socket frame. */
  uploadBytes: 256 * 1024,
  /** Upload after gzip. */
  uploadInflatedBytes: 4 * 1024 * 1024,
  /** Results and host samples in one upload. */
  uploadItems: 500,
  /** Any JSON body of the web API. */
  webBodyBytes: 256 * 1024,
  /** One result or host sample as JSON text; a larger one is kept aside. */
  itemBytes: 64 * 1024,
  /** What is kept of an item the edge could not accept. */
  rejectedExcerptBytes: 2 * 1024,
  nameLength: 100,
  siteLength: 100,
  tagKeyLength: 64,
  tagValueLength: 200,
  tags: 32,
  destinationLength: 2048,
  clientIdsPerTest: 5000,
  /** Clients that one client of a mesh measures against; of a larger mesh the next ones by id, so that each is measured as often. */
  meshPeers: 200,
  /** Addresses a client may say it is reached at. */
  reflectorAddresses: 16,
  /** Clients whose address and key an agent asks for at once. */
  peersAtOnce: 500,
  intervalMinS: 1,
  intervalMaxS: 86_400,
  packetSizeMin: 1,
  packetSizeMax: 65_535,
  packetSizeDefault: 64,
  resultsPage: 1000,
  seriesPoints: 2000,
  seriesMetrics: 16,
  listPage: 1000,
  sparkPoints: 20,
  username: { min: 1, max: 64 },
  password: { min: 10, max: 256 },
  /** Raw results are kept this long. */
  rawRetentionDays: 30,
} as const;

export const CADENCE = {
  /** Durable batch when nobody watches. */
  uploadS: 300,
  /** Durable batch while a live lease is open. */
  liveUploadS: 5,
  /** Host sample when nobody watches, and while somebody does. */
  hostSampleS: 60,
  liveHostSampleS: 5,
  /** `ping` text frames on the agent's socket. */
  heartbeatS: 30,
  /** HTTP-only agents say hello this often. */
  httpHeartbeatS: 60,
  /** A live lease lasts this long and is renewed while somebody watches. */
  leaseS: 90,
  /** A closed socket may come back within this time before the client is offline. */
  closeGraceS: 5,
  /** Half-open sockets are looked for this often. */
  silenceCheckS: 300,
  /** A socket unheard for this long is dead. */
  silentAfterS: 90,
  reconnectMaxS: 60,
} as const;

/** Close codes of the agent's socket. */
export const CLOSE = {
  revoked: 4001,
  superseded: 4002,
  protocol: 4003,
  tooLarge: 1009,
  tryLater: 1012,
} as const;

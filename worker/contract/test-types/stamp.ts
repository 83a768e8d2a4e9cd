// What test types that send a STAMP stream have in common (udp, voip).

/** The smallest STAMP packets: RFC 8762 section 4.2.1, and section 4.2.2 with authentication. UDP payload, bytes. */
export const STAMP_BYTES_MIN = { open: 44, authenticated: 112 } as const;

/** Port of STAMP reflectors (RFC 8762 section 4.1). */
export const STAMP_PORT = 862;

/** Longest time a run takes around its stream to learn where the reflector's count stands, seconds. */
export const STAMP_AROUND_S = { opening: 3, closing: 2.5 } as const;

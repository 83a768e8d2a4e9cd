// Another client as the other end of a measurement: where it is, and the key that its reflector answers to.
import type { ResultError } from "#contract/result";

/** One sender's secret with one reflector; never sent, only used to authenticate (RFC 8762 section 4.4). */
export interface SessionKey {
  /** STAMP Session Identifier (RFC 8972 section 3), 1 to 65535. */
  readonly ssid: number;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

/** A client that can be measured against. */
export interface Peer {
  readonly client_id: string;
  readonly name: string;
  /** IP literal its reflector is reached at. */
  readonly address: string;
  /** UDP and TCP port of its reflector; null where none was asked for and none is open. */
  readonly port: number | null;
  readonly session: SessionKey;
}

/** What a measurement needs of the client at its other end. */
export interface PeerWish {
  readonly ip_version: 4 | 6 | undefined;
  /** Whether its reflector has to answer, or its address is enough. */
  readonly reflector: boolean;
}

/** Finds clients by id; answers what is wrong when one cannot be measured against. Never rejects. */
export interface PeerDirectory {
  find(clientId: string, wish: PeerWish, signal: AbortSignal): Promise<Peer | { problem: ResultError }>;
}

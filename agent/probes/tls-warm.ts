// The first handshake of a process pays for cryptography that never ran before, some milliseconds that would pass for the
// network's. So one is made within the process before any clock starts.
import { X509Certificate } from "node:crypto";
import { duplexPair } from "node:stream";
import { connect, createSecureContext, type DetailedPeerCertificate, rootCertificates, TLSSocket } from "node:tls";
import { warmOnce } from "../warm-up.ts";
import { readCertificate } from "./certificate.ts";

/** Longest the warm-up may take, ms. */
const LIMIT_MS = 250;
/** A pre-shared key needs no certificate; the key exchange is the one a usual handshake makes (RFC 8446 4.2.9, psk_dhe_ke). */
const CIPHER = {
  ciphers: "TLS_AES_128_GCM_SHA256:PSK-AES128-GCM-SHA256",
  minVersion: "TLSv1.3",
  maxVersion: "TLSv1.3",
} as const;

function shakeHands(): Promise<void> {
  return new Promise((resolve) => {
    const psk = Buffer.alloc(32, 1);
    const [ours, theirs] = duplexPair();
    // The typings know the callback of a listening server only.
    const serving = { isServer: true, secureContext: createSecureContext(CIPHER), pskCallback: () => psk };
    const server = new TLSSocket(theirs, serving);
    const client = connect({
      socket: ours,
      ...CIPHER,
      pskCallback: () => ({ psk, identity: "warm" }),
      checkServerIdentity: () => undefined,
    });
    const streams = [client, server, ours, theirs];
    const end = () => {
      clearTimeout(timer);
      for (const stream of streams) stream.destroy();
      resolve();
    };
    const timer = setTimeout(end, LIMIT_MS);
    for (const stream of streams) stream.on("error", end);
    client.once("secureConnect", end);
  });
}

/** Checks and reads a certificate: any of the trust store's roots, which signed themselves. */
function readRoot(): void {
  const [text] = rootCertificates;
  if (text === undefined) return;
  const root = new X509Certificate(text);
  root.verify(root.publicKey);
  const shown = root.toLegacyObject();
  const chain: DetailedPeerCertificate = Object.assign(shown, { issuerCertificate: shown as DetailedPeerCertificate });
  readCertificate({ getPeerCertificate: () => chain })?.names("localhost");
}

/** Gets the code of a handshake ready. Costs some 25 ms once in a process, then nothing. */
export function warmUpTls(): Promise<void> {
  return warmOnce("tls", () => shakeHands().then(readRoot));
}

// TLS to a resolver (RFC 7858, RFC 8484). Loaded only where one is asked over it.
import { isIP } from "node:net";
import { hostClock } from "../host-clock.ts";
import { contextFor, type Handshake, handshake, partFrom } from "../probes/tls-handshake.ts";
import { explainCertificate } from "../probes/tls-verdict.ts";
import { warmUpTls } from "../probes/tls-warm.ts";
import { lateFailure, type Secure } from "./connect.ts";
import { type Failure, failure, type Server, socketFailure } from "./exchange.ts";

/** Gets everything ready that is not the network's: the code, and the trusted certificates. Then handshakes may be timed. */
export async function prepareTls(alpn: readonly string[]): Promise<Secure> {
  await warmUpTls();
  const context = contextFor("TLSv1.2", "TLSv1.3");
  return async (raw, server, signal) => {
    // An address is checked as the certificate's address; it may not stand in SNI (RFC 6066 3).
    const host = server.servername ?? server.address;
    const servername = isIP(host) === 0 ? host : undefined;
    const shaken = await handshake(raw, { host, servername, alpn, context, signal });
    const refused = failureOf(shaken, server, host);
    if (refused === undefined && shaken.kind === "done") {
      return { ok: true, socket: shaken.socket, ms: shaken.ms, alpn: shaken.agreed.alpn };
    }
    partFrom(raw, shaken);
    return refused ?? lateFailure(server, true);
  };
}

function failureOf(shaken: Handshake, server: Server, host: string): Failure | undefined {
  if (shaken.kind === "over") return lateFailure(server, true);
  if (shaken.kind === "error") return socketFailure({ code: shaken.code }, server, { connected: true });
  const { authorization_error: why, certificate } = shaken.agreed;
  if (why === null) return undefined;
  const words = explainCertificate(why, host, certificate, hostClock.now());
  return failure("certificate", `${server.label} has a certificate that is not valid for ${host}: ${words} (${why})`, {
    connected: true,
  });
}

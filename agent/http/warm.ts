// The first request of a process pays for loading and compiling code, some 20 ms that would pass for the network's.
// So the code is run once on pairs of streams within the process before any clock starts.
import { Resolver } from "node:dns/promises";
import { createServer, request } from "node:http";
import { type Duplex, duplexPair } from "node:stream";
import { warmUpTls } from "../probes/tls-warm.ts";
import { guarded, resolveHost } from "../resolve.ts";
import { warmOnce } from "../warm-up.ts";
import type { Http2Module } from "./http2.ts";

/** Longest a warm-up may take. */
const LIMIT_MS = 250;

const once = (name: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> =>
  warmOnce(name, () => work(AbortSignal.timeout(LIMIT_MS)));

/** Resolves at whichever comes first; what went wrong is of no interest. */
function either(signal: AbortSignal, start: (end: () => void) => Duplex[]): Promise<void> {
  return new Promise<void>((resolve) => {
    const streams = start(() => end());
    const end = () => {
      for (const stream of streams) stream.destroy();
      resolve();
    };
    for (const stream of streams) stream.on("error", end);
    signal.addEventListener("abort", end, { once: true });
  });
}

const warmHttp1 = (signal: AbortSignal): Promise<void> =>
  either(signal, (end) => {
    const [ours, theirs] = duplexPair();
    const server = createServer((_, response) => response.end("warm"));
    server.emit("connection", theirs);
    const sent = request({ createConnection: () => ours, path: "/", headers: { Connection: "keep-alive" } });
    sent.on("error", end);
    sent.on("response", (response) => response.on("end", end).resume());
    sent.end();
    return [ours, theirs];
  });

const warmHttp2 = (http2: Http2Module, signal: AbortSignal): Promise<void> =>
  either(signal, (end) => {
    const [ours, theirs] = duplexPair();
    const server = http2.performServerHandshake(theirs);
    server.on("stream", (stream) => {
      stream.respond({ ":status": 200 });
      stream.end("warm");
    });
    server.on("error", end);
    const session = http2.connect("http://localhost", { createConnection: () => ours });
    session.on("error", end);
    const stream = session.request({ ":path": "/" });
    stream.on("error", end);
    stream.on("end", end).resume();
    return [ours, theirs];
  });

/** The resolver's own start: its library, the hosts file. Nothing is sent to that address, so nobody has to allow it. */
async function warmNames(): Promise<void> {
  new Resolver().cancel();
  await guarded(
    () => undefined,
    () => resolveHost("localhost"),
  );
}

/** Gets the code of a request ready. Costs some 20 ms once in a process, then nothing. */
export async function warmUp(needs: { tls: boolean; http2: Http2Module | undefined }): Promise<void> {
  const { http2 } = needs;
  await once("names", warmNames);
  await once("http1", warmHttp1);
  if (needs.tls) await warmUpTls();
  if (http2 !== undefined) await once("http2", (signal) => warmHttp2(http2, signal));
}

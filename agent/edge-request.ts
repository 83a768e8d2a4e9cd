// One request to the edge and its whole answer, over Node's own HTTP: fetch would bring a second HTTP client along, 6 MB of memory.
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { request as httpsRequest } from "node:https";

export interface EdgeRequest {
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | undefined;
  readonly timeout_ms: number;
}

export interface EdgeAnswer {
  readonly status: number;
  /** The words behind the status. */
  readonly words: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Far above any answer of our server. */
const ANSWER_MAX = 64 * 1024 * 1024;

/** Asks once, following no redirect. Rejects where no whole answer came in time. Proxies of the environment are Node's business. */
export function askEdge(url: string, { method, headers, body, timeout_ms }: EdgeRequest): Promise<EdgeAnswer> {
  const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const options = { method, headers: { ...headers, ...length }, signal: AbortSignal.timeout(timeout_ms) };
  return new Promise((resolve, reject) => {
    const request = (url.startsWith("https:") ? httpsRequest : httpRequest)(url, options);
    request.once("error", reject);
    request.once("response", (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > ANSWER_MAX) response.destroy(new Error("the answer is larger than any of our server's"));
        else chunks.push(chunk);
      });
      response.once("error", reject);
      response.once("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        resolve({ status: response.statusCode ?? 0, words: response.statusMessage ?? "", headers: response.headers, text });
      });
    });
    request.end(body);
  });
}

/** Why a request failed, for people. */
export function requestFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "AbortError") return "no answer in time";
  // Where several addresses were tried, only the code says something.
  return error.message === "" ? ((error as NodeJS.ErrnoException).code ?? error.name) : error.message;
}

// The agent API over HTTPS: registration, instruction, and everything else where a proxy lets no socket through.
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { z } from "zod";
import { LIMITS } from "#contract/limits";
import {
  type PeersReply,
  peersReplySchema,
  type ReflectorBody,
  type ReflectorReply,
  reflectorReplySchema,
} from "#contract/peers";
import { problemSchema } from "#contract/problem";
import {
  type HeartbeatReply,
  heartbeatReplySchema,
  type Instruction,
  instructionSchema,
  type RegisterBody,
  type RegisterReply,
  registerReplySchema,
  type UploadBody,
  uploadReplySchema,
} from "#contract/wire";
import { askEdge, type EdgeAnswer, requestFailure } from "./edge-request.ts";
import type { Carrier, UploadAnswer } from "./uploader.ts";

const TIMEOUT_MS = 20_000;
const compress = promisify(gzip);

export type Answer<Value> =
  | { readonly ok: true; readonly value: Value }
  /** The server said no. */
  | { readonly ok: false; readonly refused: Refusal }
  /** Nobody said anything that could be understood. */
  | { readonly ok: false; readonly unreachable: string };

export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  /** Milliseconds the server asks to wait, or null. */
  readonly retryAfter: number | null;
}

/** Whether the server no longer knows this client's token. */
export function isTokenRefusal(refusal: Refusal): boolean {
  return refusal.status === 401 && ["token_revoked", "bad_token", "unauthenticated"].includes(refusal.code);
}

interface Request {
  readonly method: "GET" | "POST";
  readonly token: string;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Record<string, string>;
}

export class EdgeHttp {
  readonly #base: string;
  readonly #agent: string;

  constructor(server: string, version: string) {
    this.#base = `${server}/api/agent/v1`;
    this.#agent = `streamswarm-agent/${version}`;
  }

  /** Address of the socket. */
  get socketUrl(): string {
    return `${this.#base.replace(/^http/, "ws")}/connect`;
  }

  register(token: string, body: RegisterBody): Promise<Answer<RegisterReply>> {
    return this.#json("register", { method: "POST", token, body: JSON.stringify(body) }, registerReplySchema);
  }

  /** The instruction, or undefined where `revision` is still the current one. */
  async instruction(token: string, revision: number | undefined): Promise<Answer<Instruction | undefined>> {
    const headers: Record<string, string> = revision === undefined ? {} : { "if-none-match": `"${revision}"` };
    return this.#json("instruction", { method: "GET", token, headers }, instructionSchema.optional());
  }

  heartbeat(token: string, body: Record<string, unknown>): Promise<Answer<HeartbeatReply>> {
    return this.#json("heartbeat", { method: "POST", token, body: JSON.stringify(body) }, heartbeatReplySchema);
  }

  /** Says where this client answers others; brings what they authenticate with. */
  reflector(token: string, body: ReflectorBody): Promise<Answer<ReflectorReply>> {
    return this.#json("reflector", { method: "POST", token, body: JSON.stringify(body) }, reflectorReplySchema);
  }

  /** Where other clients are, and the keys to measure against them. */
  peers(token: string, client_ids: readonly string[]): Promise<Answer<PeersReply>> {
    return this.#json("peers", { method: "POST", token, body: JSON.stringify({ client_ids }) }, peersReplySchema);
  }

  async upload(token: string, body: UploadBody): Promise<Answer<UploadAnswer>> {
    const packed = await compress(JSON.stringify(body));
    if (packed.length > LIMITS.uploadBytes) return { ok: false, unreachable: "the upload is larger than the server takes" };
    const headers = { "content-encoding": "gzip" };
    return this.#json("upload", { method: "POST", token, body: new Uint8Array(packed), headers }, uploadReplySchema);
  }

  async #json<Schema extends z.ZodType>(path: string, request: Request, schema: Schema): Promise<Answer<z.output<Schema>>> {
    try {
      const response = await askEdge(`${this.#base}/${path}`, {
        method: request.method,
        headers: {
          authorization: `Bearer ${request.token}`,
          accept: "application/json",
          "user-agent": this.#agent,
          ...(request.body === undefined ? {} : { "content-type": "application/json" }),
          ...request.headers,
        },
        body: request.body,
        timeout_ms: TIMEOUT_MS,
      });
      if (response.status === 304) return understood(schema, undefined);
      const { status, text } = response;
      if (status >= 200 && status < 300) return understood(schema, JSON.parse(text));
      if (status >= 300 && status < 400) return { ok: false, unreachable: `the server answered with a redirect (${status})` };
      return { ok: false, refused: refusal(response) };
    } catch (error) {
      return { ok: false, unreachable: requestFailure(error) };
    }
  }
}

function understood<Schema extends z.ZodType>(schema: Schema, value: unknown): Answer<z.output<Schema>> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return { ok: true, value: parsed.data };
  return { ok: false, unreachable: "the answer is not StreamSwarm's; is the server address right?" };
}

function refusal({ status, words, headers, text }: EdgeAnswer): Refusal {
  const seconds = Number(headers["retry-after"] ?? Number.NaN);
  const retryAfter = Number.isFinite(seconds) ? Math.min(3600, Math.max(0, seconds)) * 1000 : null;
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy's page: only its status says something.
    body = undefined;
  }
  const problem = problemSchema.safeParse(body).data;
  const fields = (problem?.errors ?? []).map((error) => `${error.path} ${error.message}`).join("; ");
  const detail = [problem?.detail ?? words, fields].filter((part) => part !== "").join(" – ");
  return { status, code: problem?.code ?? "", detail, retryAfter };
}

/** Uploads over HTTPS. */
export class HttpCarrier implements Carrier {
  readonly #http: EdgeHttp;
  readonly #token: string;

  constructor(http: EdgeHttp, token: string) {
    this.#http = http;
    this.#token = token;
  }

  async upload(body: UploadBody): Promise<UploadAnswer> {
    const answer = await this.#http.upload(this.#token, body);
    if (answer.ok) return answer.value;
    throw new Error("refused" in answer ? `${answer.refused.status} ${answer.refused.detail}` : answer.unreachable);
  }
}

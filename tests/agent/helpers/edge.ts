// A small edge on loopback that speaks the agent API over HTTP and refuses every WebSocket, as some proxies do.
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import {
  type PeerReply,
  type PeersReply,
  peersBodySchema,
  type ReflectorBody,
  type ReflectorReply,
  reflectorBodySchema,
} from "#contract/peers";
import { problem } from "#contract/problem";
import { type HeartbeatReply, type Instruction, registerBodySchema, uploadBodySchema } from "#contract/wire";

export type PeerFound = Extract<PeerReply, { addresses: string[] }>;

export interface Item {
  seq: number;
  [field: string]: unknown;
}

export class HttpEdge {
  readonly #server: Server;
  readonly calls: string[] = [];
  readonly items: Item[] = [];
  readonly encodings = new Set<string | undefined>();
  readonly registrations: unknown[] = [];
  instruction: Instruction = { revision: 1, tests: [], upload_s: 1 };
  last = 0;
  /** Client tokens that count; enrolment is by `enrol`. */
  tokens = new Set<string>();
  heartbeat: Partial<HeartbeatReply> = {};
  /** Ids that were asked for, request by request, and what is known of them. */
  readonly asked: string[][] = [];
  peers = new Map<string, Omit<PeerFound, "client_id"> | { problem: string }>();
  /** Where reflectors said they are, request by request, and the secrets they get. */
  readonly reflectors: ReflectorBody[] = [];
  secrets: ReflectorReply["secrets"] = [];
  /** While set, requests of these names are answered so, or not at all. */
  fault: { paths: readonly string[]; status: number | "silence" } | undefined;
  /** The edge's clock, epoch ms. */
  now: () => number = Date.now;
  #clients = 0;

  constructor() {
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
    this.#server.on("upgrade", (_request, socket) => {
      this.calls.push("upgrade");
      socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n");
    });
  }

  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "").replace("/api/agent/v1/", "");
    this.calls.push(path);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const encoding = request.headers["content-encoding"];
    const raw = Buffer.concat(chunks);
    const text = (encoding === "gzip" ? gunzipSync(raw) : raw).toString("utf8");
    const token = (request.headers.authorization ?? "").replace("Bearer ", "");
    const send = (status: number, body: unknown) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (path === "register") return this.#register(token, text, send);
    if (!this.tokens.has(token)) return send(401, problem("token_revoked", "This client was removed."));
    if (this.fault?.paths.includes(path)) {
      if (this.fault.status === "silence") return;
      return send(this.fault.status, problem("unavailable", "Try again."));
    }
    if (path === "instruction") return send(200, this.instruction);
    if (path === "reflector") {
      this.reflectors.push(reflectorBodySchema.parse(JSON.parse(text)));
      return send(200, { secrets: this.secrets, server_time: this.now() });
    }
    if (path === "peers") return send(200, this.#tellPeers(text));
    if (path === "heartbeat") {
      const reply = {
        last_seq: this.last,
        revision: this.instruction.revision,
        server_time: Date.now(),
        live_until: 0,
        runs: [],
      };
      return send(200, { ...reply, ...this.heartbeat });
    }
    this.encodings.add(encoding);
    const body = uploadBodySchema.parse(JSON.parse(text));
    if (body.from > this.last + 1) return send(200, { need: this.last + 1 });
    this.items.push(...([...body.results, ...body.hosts] as Item[]).filter((item) => item.seq > this.last));
    this.last = Math.max(this.last, body.to);
    send(200, { ack: this.last });
  }

  #tellPeers(text: string): PeersReply {
    const { client_ids } = peersBodySchema.parse(JSON.parse(text));
    this.asked.push(client_ids);
    const peers = client_ids.map((client_id) => ({ client_id, ...(this.peers.get(client_id) ?? { problem: "not_yours" }) }));
    return { peers, server_time: this.now() };
  }

  #register(token: string, text: string, send: (status: number, body: unknown) => void): void {
    if (token !== "enrol") {
      send(401, problem("bad_token", "This enrolment token is not known."));
      return;
    }
    this.registrations.push(registerBodySchema.parse(JSON.parse(text)));
    this.#clients += 1;
    const issued = `client-token-${this.#clients}`;
    this.tokens.add(issued);
    const reply = { client_id: `client-${this.#clients}`, token: issued, last_seq: this.last, instruction: this.instruction };
    send(201, { ...reply, server_time: Date.now() });
  }
}

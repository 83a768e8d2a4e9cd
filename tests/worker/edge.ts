// The Worker's public doors, for tests: requests with a session, a token or nothing; agents on real sockets.
import { exports } from "cloudflare:workers";
import { type LiveFrame, liveFrameSchema, type Test } from "#contract/api";
import type { Problem } from "#contract/problem";
import type { Instruction, RegisterReply } from "#contract/wire";

export const ORIGIN = "http://localhost:8787";
export const ENROLMENT = "sse_reusable-enrolment-token-for-tests";

const worker = (exports as unknown as { default: { fetch(request: Request): Promise<Response> } }).default;

export function fetchEdge(path: string, init: RequestInit = {}): Promise<Response> {
  return worker.fetch(new Request(new URL(path, ORIGIN), init));
}

/** Someone who asks: a cookie or a bearer token rides on every request. */
export class Asker {
  readonly headers: Record<string, string>;

  constructor(headers: Record<string, string> = {}) {
    this.headers = headers;
  }

  send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    const json = body === undefined ? {} : { "content-type": "application/json" };
    return fetchEdge(path, {
      method,
      headers: { ...this.headers, ...json, ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
  }

  async get<Reply>(path: string): Promise<Reply> {
    const response = await this.send("GET", path);
    if (response.status !== 200) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  async post<Reply>(path: string, body: unknown): Promise<Reply> {
    const response = await this.send("POST", path, body);
    if (response.status >= 300) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }
}

export const ADMIN = { username: "root", password: "correct horse battery" };

/** Sets up the first account, or signs in when a test of the same file has done so; answers with its session. */
export async function asAdmin(): Promise<Asker> {
  const made = await new Asker().send("POST", "/api/v1/setup", { code: "setup-code-for-tests", ...ADMIN });
  const response = made.status === 201 ? made : await new Asker().send("POST", "/api/v1/session", ADMIN);
  return new Asker({ cookie: cookieOf(response) });
}

export function cookieOf(response: Response): string {
  return (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
}

export async function problemOf(response: Response): Promise<Problem> {
  if (response.headers.get("content-type") !== "application/problem+json") {
    throw new Error(`not problem+json: ${response.status} ${response.headers.get("content-type")} ${await response.text()}`);
  }
  return response.json();
}

let installs = 0;

export function registration(change: Record<string, unknown> = {}): Record<string, unknown> {
  installs += 1;
  return {
    name: `agent-${installs}`,
    version: "0.1.0",
    platform: { os: "linux", arch: "x64", release: "6.1", hostname: "host", node: "24.21.0" },
    install_id: `install-${installs}-${crypto.randomUUID()}`,
    capabilities: { ping: "iputils 20221126" },
    ...change,
  };
}

export async function register(change: Record<string, unknown> = {}, token = ENROLMENT): Promise<RegisterReply> {
  return new Asker({ authorization: `Bearer ${token}` }).post("/api/agent/v1/register", registration(change));
}

/** The client's own agent, over HTTPS. */
export const agentOf = (reply: Pick<RegisterReply, "token">): Asker => new Asker({ authorization: `Bearer ${reply.token}` });

/** Makes a person, signs in and answers with the session. */
export async function asPerson(
  admin: Asker,
  role: string,
  sites: string[] | null = null,
  username = `${role}-${crypto.randomUUID()}`,
) {
  const password = "a long enough password";
  const { id } = await admin.post<{ id: string }>("/api/v1/users", { username, password, role, sites });
  const response = await new Asker().send("POST", "/api/v1/session", { username, password });
  return Object.assign(new Asker({ cookie: cookieOf(response) }), { id, username, password });
}

export async function gzip(text: string): Promise<ArrayBuffer> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/** For `sort`: texts in a fixed order. */
export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The paths of a problem's field errors. */
export const pathsOf = (problem: Problem): string[] => problem.errors.map(({ path }) => path);

type Frame = Record<string, unknown> & { type: string };

/** One end of a WebSocket that remembers what came and lets a test wait for the next frame of a kind. */
export class Socket {
  readonly #socket: WebSocket;
  readonly #frames: Frame[] = [];
  readonly #waiting: { type: string; resolve: (frame: Frame) => void }[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", ({ code, reason }) => {
        // As every WebSocket client does, the close is answered.
        socket.close();
        resolve({ code, reason });
      });
    });
    socket.addEventListener("message", ({ data }) =>
      this.#take(typeof data === "string" && data.startsWith("{") ? JSON.parse(data) : { type: String(data) }),
    );
    socket.accept();
  }

  static async open(path: string, headers: Record<string, string>): Promise<Socket> {
    const response = await fetchEdge(path, { headers: { upgrade: "websocket", ...headers } });
    if (response.webSocket === null) throw new Error(`no socket: ${response.status} ${await response.text()}`);
    return new Socket(response.webSocket);
  }

  #take(frame: Frame): void {
    const at = this.#waiting.findIndex((one) => one.type === frame.type);
    const [waiter] = at < 0 ? [] : this.#waiting.splice(at, 1);
    if (waiter === undefined) this.#frames.push(frame);
    else waiter.resolve(frame);
  }

  send(frame: unknown): void {
    this.#socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#socket.send(bytes);
  }

  close(code = 1000, reason = ""): void {
    this.#socket.close(code, reason);
  }

  /** Frames of a kind that came and were not taken. */
  waiting(type: string): Frame[] {
    return this.#frames.filter((frame) => frame.type === type);
  }

  /** The next frame of a kind, come already or still to come. */
  next<Kind extends Frame = Frame>(type: string): Promise<Kind> {
    const at = this.#frames.findIndex((frame) => frame.type === type);
    const [frame] = at < 0 ? [] : this.#frames.splice(at, 1);
    if (frame !== undefined) return Promise.resolve(frame as Kind);
    return new Promise((resolve) => this.#waiting.push({ type, resolve: resolve as (frame: Frame) => void }));
  }
}

export type Kind<Name extends LiveFrame["type"]> = Extract<LiveFrame, { type: Name }>;

/** The next live frame of a kind that fits, checked against the contract. */
export async function told<Name extends LiveFrame["type"]>(
  socket: Socket,
  type: Name,
  fits: (frame: Kind<Name>) => boolean = () => true,
): Promise<Kind<Name>> {
  for (;;) {
    const frame = liveFrameSchema.parse(await socket.next(type)) as Kind<Name>;
    if (fits(frame)) return frame;
  }
}

/** An agent on its socket, greeted. */
export async function connect(
  token: string,
  boot: string = crypto.randomUUID(),
  hello: Record<string, unknown> = {},
): Promise<{ socket: Socket; welcome: Frame & { last_seq: number; instruction: Instruction } }> {
  const socket = await Socket.open("/api/agent/v1/connect", { authorization: `Bearer ${token}` });
  socket.send({ type: "hello", version: "0.1.0", boot, outbox: { depth: 0, dropped: 0 }, capabilities: {}, ...hello });
  const welcome = await Promise.race([
    socket.next<Frame & { last_seq: number; instruction: Instruction }>("welcome"),
    socket.closed.then(({ code, reason }) => {
      throw new Error(`closed ${code} ${reason}`);
    }),
  ]);
  return { socket, welcome };
}

export function pingResult(seq: number, change: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    seq,
    test_id: "starter-ping",
    type: "ping",
    destination: "127.0.0.1",
    address: "127.0.0.1",
    started_at: Date.now() - 1000,
    duration_ms: 812.5,
    status: "ok",
    error: null,
    metrics: {
      ping_sent: 5,
      ping_received: 5,
      ping_loss_pct: 0,
      ping_rtt_min: 0.03,
      ping_rtt_median: 0.05,
      ping_rtt_max: 0.09,
      ping_rtt_p95: null,
    },
    reasons: { ping_rtt_p95: "too_few_samples" },
    detail: {},
    flags: [],
    ...change,
  };
}

export function hostSample(seq: number, change: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    seq,
    started_at: Date.now() - 500,
    duration_ms: 2,
    metrics: { cpu_percent: 12.5, memory_percent: 40 },
    reasons: {},
    detail: {},
    flags: [],
    ...change,
  };
}

export function upload(from: number, to: number, change: Record<string, unknown> = {}): Record<string, unknown> {
  const results = Array.from({ length: to - from + 1 }, (_, index) => pingResult(from + index));
  return { boot: "boot-1", from, to, results, hosts: [], ...change };
}

export async function createTest(asker: Asker, change: Record<string, unknown> = {}): Promise<Test> {
  return asker.post("/api/v1/tests", {
    name: "Gateway",
    type: "ping",
    destination: "127.0.0.1",
    interval_s: 10,
    client_ids: [],
    ...change,
  });
}

// The web API as a script uses it: a session cookie and JSON.

import type { z } from "zod";
import {
  type Client,
  type ClientDetail,
  type CreateTest,
  clientDetailSchema,
  clientSchema,
  createdTokenSchema,
  type Ledger,
  ledgerSchema,
  pageOf,
  type SeriesReply,
  seriesSchema,
  type Test,
  type TestDetail,
  testDetailSchema,
  testSchema,
} from "#contract/api";

export const ADMIN = { username: "e2e", password: "correct horse battery" };

export type { Ledger };

/** As `fetch` is called here: an edge in another network namespace is asked by a process there. */
export type Fetch = (url: string, init: { method: string; headers: Record<string, string>; body?: string }) => Promise<Response>;

const ANSWERS_MS = 20_000;
const ownFetch: Fetch = (url, init) => fetch(url, { ...init, signal: AbortSignal.timeout(ANSWERS_MS) });

export class Api {
  readonly base: string;
  readonly #send: Fetch;
  #cookie = "";

  private constructor(base: string, send: Fetch) {
    this.base = base;
    this.#send = send;
  }

  static async signIn(base: string, send: Fetch = ownFetch): Promise<Api> {
    const api = new Api(base, send);
    const reply = await api.#fetch("POST", "/session", ADMIN);
    api.#cookie = (reply.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    return api;
  }

  /** The session cookie, to hand to a browser. */
  get cookie(): { name: string; value: string } {
    const at = this.#cookie.indexOf("=");
    return { name: this.#cookie.slice(0, at), value: this.#cookie.slice(at + 1) };
  }

  async clients(): Promise<Client[]> {
    return (await this.get("/clients", pageOf(clientSchema))).items;
  }

  client(id: string): Promise<ClientDetail> {
    return this.get(`/clients/${id}`, clientDetailSchema);
  }

  ledger(id: string): Promise<Ledger> {
    return this.get(`/clients/${id}/ledger`, ledgerSchema);
  }

  series(query: Record<string, string>): Promise<SeriesReply> {
    return this.get(`/series?${new URLSearchParams(query)}`, seriesSchema);
  }

  async createTest(test: CreateTest): Promise<Test> {
    return testSchema.parse(await (await this.#fetch("POST", "/tests", test)).json());
  }

  /** A test with each of its clients' newest results. */
  testDetail(id: string): Promise<TestDetail> {
    return this.get(`/tests/${id}`, testDetailSchema);
  }

  /** Orders a test from its clients now. */
  async runNow(testId: string): Promise<void> {
    await this.#fetch("POST", `/tests/${testId}/run`);
  }

  async retire(clientId: string): Promise<void> {
    await this.#fetch("PATCH", `/clients/${clientId}`, { status: "retired" });
  }

  /** A token that lets agents register. */
  async enrolmentToken(): Promise<string> {
    const reply = await this.#fetch("POST", "/tokens", { kind: "enrolment", name: "e2e agents" });
    return createdTokenSchema.parse(await reply.json()).secret;
  }

  async get<T extends z.ZodType>(path: string, schema: T): Promise<z.output<T>> {
    return schema.parse(await (await this.#fetch("GET", path)).json());
  }

  async #fetch(method: string, path: string, body?: unknown): Promise<Response> {
    const reply = await this.#send(`${this.base}/api/v1${path}`, {
      method,
      headers: { cookie: this.#cookie, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!reply.ok) throw new Error(`${method} ${path} answered ${reply.status}: ${await reply.text()}`);
    return reply;
  }
}

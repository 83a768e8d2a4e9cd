// An agent that says what it is told to say: results of any shape, as a newer, an older or a hostile agent might send them.
import { randomUUID } from "node:crypto";
import type { Consent } from "#contract/consent";
import type { HostSample, WireResult } from "#contract/result";
import { registerReplySchema, uploadReplySchema } from "#contract/wire";

export class ScriptedAgent {
  readonly clientId: string;
  readonly #base: string;
  readonly #token: string;
  readonly #boot = randomUUID();
  #seq = 0;

  private constructor(base: string, clientId: string, token: string) {
    this.#base = base;
    this.clientId = clientId;
    this.#token = token;
  }

  static async register(
    server: string,
    enrolmentToken: string,
    name: string,
    consent: Consent | null = null,
  ): Promise<ScriptedAgent> {
    const base = `${server}/api/agent/v1`;
    const body = { name, version: "0.0.0", platform: "scripted", install_id: randomUUID(), capabilities: {}, consent };
    const reply = registerReplySchema.parse(await post(`${base}/register`, enrolmentToken, body));
    return new ScriptedAgent(base, reply.client_id, reply.token);
  }

  /** Uploads results of one test; each gets the next number. */
  async send(testId: string, results: readonly Partial<WireResult>[]): Promise<void> {
    const items = results.map((result) => {
      this.#seq += 1;
      const usual = { destination: "127.0.0.1", address: "127.0.0.1", started_at: Date.now(), duration_ms: 10, status: "ok" };
      return { ...usual, error: null, metrics: {}, ...result, seq: this.#seq, test_id: testId };
    });
    await this.#upload(items, []);
  }

  /** Uploads host samples; each gets the next number. */
  async sendHosts(samples: readonly Partial<HostSample>[]): Promise<void> {
    const items = samples.map((sample) => {
      this.#seq += 1;
      return { started_at: Date.now(), duration_ms: 10, metrics: {}, ...sample, seq: this.#seq };
    });
    await this.#upload([], items);
  }

  async #upload(results: readonly unknown[], hosts: readonly unknown[]): Promise<void> {
    const from = this.#seq - results.length - hosts.length + 1;
    const body = { boot: this.#boot, from, to: this.#seq, results, hosts };
    const reply = uploadReplySchema.parse(await post(`${this.#base}/upload`, this.#token, body));
    if (!("ack" in reply) || reply.ack !== this.#seq) throw new Error(`the upload was answered ${JSON.stringify(reply)}`);
  }
}

async function post(url: string, token: string, body: unknown): Promise<unknown> {
  const reply = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(20_000),
  });
  if (!reply.ok) throw new Error(`POST ${url} answered ${reply.status}: ${await reply.text()}`);
  return reply.json();
}

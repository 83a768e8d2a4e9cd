// Fake agents that answer what witnesses order, and reads of the events that come of it.
import type { NetworkEvent, NetworkEventDetail } from "#contract/events";
import { eventDetailSchema, eventSchema } from "#contract/events";
import type { RegisterReply } from "#contract/wire";
import { type Asker, connect, pingResult, register, type Socket } from "./edge.ts";

export interface Order {
  run_id: string;
  test_id?: string;
  job?: { type: string; destination: string; params: Record<string, unknown> };
}

/** What a fake agent answers to an order; undefined leaves it unanswered. */
export type Answers = (order: Order) => Record<string, unknown> | undefined;

/** One agent on its socket: numbers its results and answers orders as it is told. */
export class FakeAgent {
  readonly reply: RegisterReply;
  readonly socket: Socket;
  readonly orders: Order[] = [];
  #answered = 0;
  #waiting: (() => void)[] = [];
  #seq = 0;

  private constructor(reply: RegisterReply, socket: Socket) {
    this.reply = reply;
    this.socket = socket;
  }

  static async start(change: Record<string, unknown> = {}, answers: Answers = () => undefined): Promise<FakeAgent> {
    const reply = await register(change);
    const { socket } = await connect(reply.token);
    const agent = new FakeAgent(reply, socket);
    void agent.#serve(answers);
    return agent;
  }

  get id(): string {
    return this.reply.client_id;
  }

  async #serve(answers: Answers): Promise<never> {
    for (;;) {
      const order = (await this.socket.next("run")) as unknown as Order;
      this.orders.push(order);
      const answer = answers(order);
      if (answer === undefined) continue;
      await this.upload(answered(order, answer));
      this.#answered += 1;
      for (const resolve of this.#waiting.splice(0)) resolve();
    }
  }

  /** Resolves once so many orders were answered and the answers are stored. */
  async answers(count: number): Promise<void> {
    while (this.#answered < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Uploads results and waits until they are stored. */
  async upload(...results: Record<string, unknown>[]): Promise<void> {
    const from = this.#seq + 1;
    this.#seq += results.length;
    const numbered = results.map((result, index) => ({ ...pingResult(from + index), ...result, seq: from + index }));
    this.socket.send({ type: "upload", boot: "boot", from, to: this.#seq, results: numbered, hosts: [] });
    await this.socket.next("ack");
  }

  /** Streams a live copy of the result that its next upload brings. */
  sample(result: Record<string, unknown>): void {
    this.socket.send({ type: "sample", result: { ...pingResult(this.#seq + 1), ...result, seq: this.#seq + 1 } });
  }
}

/** A result as the answer to an order. */
export function answered(order: Order, change: Record<string, unknown>): Record<string, unknown> {
  return { test_id: null, run_id: order.run_id, type: order.job?.type, destination: order.job?.destination, ...change };
}

export const NO_REPLY = { code: "no_reply", source: "target", message: "no reply came back" };

/** A ping without any reply. */
export const lost = (test_id: string | null, change: Record<string, unknown> = {}): Record<string, unknown> => ({
  test_id,
  status: "failed",
  error: NO_REPLY,
  metrics: { ping_sent: 5, ping_received: 0, ping_loss_pct: 100, ping_rtt_median: null },
  reasons: { ping_rtt_median: "timeout" },
  ...change,
});

/** A traceroute along these hops; null is a silent one. Reached when it ends at `target`. */
export function path(hops: (string | null)[], target: string, change: Record<string, unknown> = {}): Record<string, unknown> {
  const reached = hops.at(-1) === target;
  return {
    type: "traceroute",
    address: target,
    status: reached ? "ok" : hops.some((hop) => hop !== null) ? "partial" : "failed",
    error: reached ? null : { code: "no_reply", source: "network", message: `${target} did not answer` },
    metrics: { path_reached: reached, path_method: "udp", path_rtt_median: reached ? 10 : null },
    reasons: {},
    detail: {
      hops: hops.map((hop, index) => ({
        ttl: index + 1,
        addrs: hop === null ? [] : [hop],
        sent: 2,
        received: hop === null ? 0 : 2,
        rtt_median: hop === null ? null : 2 * (index + 1),
        loss_pct: null,
      })),
    },
    ...change,
  };
}

/** Answers a path order with this path and a ping order with a good or a lost ping. */
export const sees = (hops: (string | null)[], target: string): Answers => {
  const good = hops.at(-1) === target;
  return ({ job }) => (job?.type === "traceroute" ? path(hops, target) : good ? {} : lost(null));
};

export async function eventsOf(asker: Asker, query: string): Promise<NetworkEvent[]> {
  const { items } = await asker.get<{ items: unknown[] }>(`/api/v1/events?${query}`);
  return items.map((item) => eventSchema.parse(item));
}

export async function eventOf(asker: Asker, id: string): Promise<NetworkEventDetail> {
  return eventDetailSchema.parse(await asker.get(`/api/v1/events/${id}`));
}

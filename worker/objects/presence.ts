// Whether a client is there: from its sockets' closes, from silence, from heartbeats over HTTPS.
import { CADENCE } from "#contract/limits";
import { type AgentLink, attachmentOf, close, heardAt } from "./agent-link.ts";
import type { AlarmClock } from "./alarm-clock.ts";
import { StatusKeeper } from "./status.ts";
import type { StatusRecord } from "./view.ts";

const SILENT_AFTER_MS = CADENCE.silentAfterS * 1000;
const CHECK_EVERY_MS = CADENCE.silenceCheckS * 1000;
const RETURN_WITHIN_MS = CADENCE.reconnectMaxS * 1000;

export class Presence {
  readonly #context: DurableObjectState;
  readonly #alarm: Pick<AlarmClock, "getAlarm" | "setAlarm">;
  readonly #agents: AgentLink;
  readonly #status: StatusKeeper;
  readonly #changed: (record: StatusRecord) => Promise<void>;
  #closeReason: string | undefined;

  /** `changed` is told every change of status after it was stored. */
  constructor(
    context: DurableObjectState,
    alarm: Pick<AlarmClock, "getAlarm" | "setAlarm">,
    agents: AgentLink,
    changed: (record: StatusRecord) => Promise<void>,
  ) {
    this.#context = context;
    this.#alarm = alarm;
    this.#agents = agents;
    this.#status = new StatusKeeper(context.storage, Date.now());
    this.#changed = changed;
  }

  get record(): Readonly<StatusRecord> {
    return this.#status.record;
  }

  /** When the client was last heard, heartbeats included, epoch milliseconds. */
  get lastSeenAt(): number | null {
    const socket = this.#agents.current();
    const { last_seen_at } = this.record;
    return socket === undefined ? last_seen_at : Math.max(last_seen_at ?? 0, heardAt(this.#context, socket));
  }

  heard(now: number): void {
    this.#status.heard(now);
  }

  async connected(now: number): Promise<void> {
    this.#closeReason = undefined;
    // The alarm comes first: a close that arrives while the change is told must find it set, and bring it forward.
    await this.#alarm.setAlarm(now + CHECK_EVERY_MS);
    await this.#change("online", "connected", "socket", now);
  }

  /** The speaking socket closed: the client has a moment to come back. */
  async closed(code: number, reason: string, now: number): Promise<void> {
    this.heard(now);
    this.#closeReason = code === 1000 && reason === "stopped" ? "stopped" : "closed";
    await this.#alarm.setAlarm(now + CADENCE.closeGraceS * 1000);
  }

  async heardOverHttp(now: number): Promise<void> {
    this.heard(now);
    if (this.#agents.current() !== undefined) return;
    this.#closeReason = undefined;
    await this.#change("online", "connected over HTTPS", "http", now);
    // Armed when it is missing only: an alarm costs a row, and an upload may cost no second one.
    if ((await this.#alarm.getAlarm()) === null) await this.#alarm.setAlarm(now + SILENT_AFTER_MS);
  }

  /** The alarm is the durable memory of a heartbeat over HTTPS: when it was heard is lost when the object leaves memory. */
  async heartbeatOverHttp(now: number): Promise<void> {
    await this.heardOverHttp(now);
    if (this.#agents.current() === undefined) await this.#alarm.setAlarm(now + SILENT_AFTER_MS);
  }

  retire(now: number): void {
    this.#status.change("retired", "retired", null, now);
  }

  /** A new client's status begins here; a retired one that registers again starts over. */
  revive(now: number): void {
    this.#status.keep();
    if (this.record.status === "retired") this.#status.change("never_seen", "registered", null, now);
  }

  /** The alarm: gives up sockets that fell silent, and a client that nobody heard of. */
  async check(now: number): Promise<void> {
    for (const socket of this.#agents.greeted()) {
      if (now - heardAt(this.#context, socket) <= SILENT_AFTER_MS) continue;
      this.heard(heardAt(this.#context, socket));
      close(socket, 1001, "nothing was heard for too long");
      const attachment = attachmentOf(socket);
      if (attachment !== null) socket.serializeAttachment({ ...attachment, boot: null });
    }
    const { status, transport, last_seen_at } = this.record;
    if (status !== "online") return;
    const httpDeadline = (last_seen_at ?? 0) + SILENT_AFTER_MS;
    if (this.#agents.current() !== undefined) {
      this.heard(this.lastSeenAt ?? now);
      await this.#alarm.setAlarm(now + CHECK_EVERY_MS);
    } else if (transport === "http" && httpDeadline > now) {
      await this.#alarm.setAlarm(httpDeadline);
    } else {
      await this.#change("offline", this.#closeReason ?? "silent", null, now);
    }
  }

  /** A server that was killed cannot say goodbye to its sockets: clients that do not come back are noticed within a minute. */
  async settleAfterRestart(now: number): Promise<void> {
    const { status, transport } = this.record;
    if (status !== "online" || transport !== "socket" || this.#agents.current() !== undefined) return;
    const due = await this.#alarm.getAlarm();
    if (due === null || due > now + RETURN_WITHIN_MS) await this.#alarm.setAlarm(now + RETURN_WITHIN_MS);
  }

  async #change(
    status: StatusRecord["status"],
    reason: string,
    transport: StatusRecord["transport"],
    now: number,
  ): Promise<void> {
    if (this.#status.change(status, reason, transport, now)) await this.#changed(this.record);
  }
}

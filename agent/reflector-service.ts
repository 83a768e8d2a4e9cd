// This agent as the other end of other agents' measurements: tells the server where it is, and opens its reflector while
// somebody measures against it and its owner does not object.
import { setTimeout as sleep } from "node:timers/promises";
import type { ReflectorBody, ReflectorReply } from "#contract/peers";
import type { Instruction } from "#contract/wire";
import { backoffMs } from "./backoff.ts";
import type { Answer } from "./edge-http.ts";
import { hostClock } from "./host-clock.ts";
import type { Log } from "./log.ts";
import { ownAddresses } from "./own-addresses.ts";
import type { Reflector, Secret } from "./reflector/index.ts";
import { fullSpeed } from "./small-process.ts";

/** This host's addresses and clock are looked at this often while somebody measures it, milliseconds. */
const LOOK_MS = 60_000;
/** A reflector that could not be opened is tried again after this, milliseconds. */
const REOPEN_MS = 60_000;
/** A connection that came back so soon after the last registration needs none, milliseconds. */
const FRESH_MS = 30_000;
const STOP_MS = 500;

export interface ReflectorSettings {
  /** UDP and TCP port; another one is taken where it cannot be had. */
  readonly port: number;
  /** What the owner says this host is reached at, before what it finds out by itself. */
  readonly addresses: readonly string[];
  /** False where the owner wants no reflector: flag, setting or consent file. */
  readonly allowed: boolean;
}

export interface ReflectorServiceParts {
  readonly settings: ReflectorSettings;
  /** Whether the owner still allows one; asked at each look, since the consent file may change. */
  readonly permitted?: () => boolean;
  readonly server: string;
  readonly register: (body: ReflectorBody) => Promise<Answer<ReflectorReply>>;
  readonly log: Pick<Log, "info" | "warn" | "debug">;
}

type Wish = Pick<Instruction, "aimed_at" | "reflector">;

export class ReflectorService {
  readonly #parts: ReflectorServiceParts;
  #wish: Wish = {};
  #reflector: Reflector | undefined;
  /** Others' packets come as fast as they like. */
  #slower: () => void = () => {};
  #secrets: readonly Secret[] = [];
  /** What the server was told, as one comparable word, and when that has to be said again; epoch ms. */
  #told: { body: string; at: number; again: number } | undefined;
  #failures = 0;
  #openAgain = 0;
  #timer: NodeJS.Timeout | undefined;
  #queue: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(parts: ReflectorServiceParts) {
    this.#parts = parts;
  }

  /** Port of the open reflector; undefined while there is none. */
  get port(): number | undefined {
    return this.#reflector?.address?.port;
  }

  /** Follows a new instruction. Resolves when that is done, or could not be done for now; never rejects. */
  follow({ aimed_at, reflector }: Wish): Promise<void> {
    this.#wish = { aimed_at, reflector };
    return this.#look();
  }

  /** The line to the server is up again, perhaps by another network. Resolves as follow() does. */
  connected(): Promise<void> {
    if (this.#told !== undefined && hostClock.now() - this.#told.at > FRESH_MS) this.#told = undefined;
    this.#failures = 0;
    return this.#look();
  }

  /** This agent is another client now, whose secrets are others. Resolves as follow() does. */
  renamed(): Promise<void> {
    this.#told = undefined;
    this.#secrets = [];
    return this.#look();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    // Whatever is on its way to the server is not waited for; a reflector just opening closes itself.
    await Promise.race([this.#queue, sleep(STOP_MS, undefined, { ref: false })]);
    await this.#close();
  }

  /** One look after the other, so that an older wish never undoes a newer one. */
  #look(): Promise<void> {
    clearTimeout(this.#timer);
    this.#queue = this.#queue
      .then(() => this.#settle())
      .catch((error: unknown) => this.#parts.log.warn({ error: String(error) }, "looking after the reflector broke"));
    return this.#queue;
  }

  #lookAfter(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    this.#timer = setTimeout(() => this.#look(), ms);
    this.#timer.unref();
  }

  /** Brings what is in line with what is wished, and comes back when that may have changed. */
  async #settle(): Promise<void> {
    if (this.#stopped) return;
    const { settings, permitted } = this.#parts;
    const wanted = this.#wish.reflector === true && settings.allowed && permitted?.() !== false;
    if (wanted) await this.#open();
    else await this.#close();
    if (this.#wish.aimed_at !== true && this.#wish.reflector !== true) return;
    const registered = await this.#register();
    this.#lookAfter(registered ? LOOK_MS : backoffMs(this.#failures, false));
  }

  async #open(): Promise<void> {
    if (this.#reflector !== undefined || hostClock.now() < this.#openAgain) return;
    const { Reflector } = await import("./reflector/index.ts");
    const reflector = new Reflector();
    const { port } = this.#parts.settings;
    const { log } = this.#parts;
    try {
      const watch = { trouble: (error: Error) => log.warn({ error: error.message }, "a socket of the reflector failed") };
      await reflector.start({ port, anyPort: true, secrets: () => this.#secrets, watch });
      if (this.#stopped) return await reflector.stop();
      this.#reflector = reflector;
      this.#slower = fullSpeed();
      log.info({ port: this.port, wished: port }, "the reflector is open");
    } catch (error) {
      this.#openAgain = hostClock.now() + REOPEN_MS;
      log.warn({ port, error: error instanceof Error ? error.message : String(error) }, "the reflector cannot be opened");
    }
  }

  async #close(): Promise<void> {
    const open = this.#reflector;
    if (open === undefined) return;
    this.#reflector = undefined;
    this.#slower();
    await open.stop();
    this.#parts.log.info("the reflector is closed");
  }

  /** Tells the server where this host is, where that is news or the secrets grow old. Answers whether the server knows. */
  async #register(): Promise<boolean> {
    const { settings, server, log } = this.#parts;
    const addresses = await ownAddresses(server, settings.addresses);
    const body: ReflectorBody = { port: this.port ?? null, addresses };
    const word = JSON.stringify(body);
    const now = hostClock.now();
    if (this.#told?.body === word && now < this.#told.again && now >= this.#told.at) return true;
    const answer = await this.#parts.register(body);
    if (!answer.ok) {
      this.#failures += 1;
      const why = "refused" in answer ? answer.refused.detail : answer.unreachable;
      const level = this.#failures === 1 ? "warn" : "debug";
      log[level]({ why }, "the server was not told where this agent answers others; trying again");
      return false;
    }
    this.#failures = 0;
    this.#secrets = secretsOf(answer.value, hostClock.now());
    this.#told = { body: word, at: now, again: halfLife(this.#secrets, now) };
    log.debug({ port: body.port, addresses }, "the server knows where this agent answers others");
    return true;
  }
}

/** Secrets by this host's clock, which follows the server's. */
const secretsOf = ({ secrets, server_time }: ReflectorReply, now: number): Secret[] =>
  secrets.map(({ from, until, secret }) => ({
    from: from - server_time + now,
    until: until - server_time + now,
    secret: new Uint8Array(Buffer.from(secret, "base64url")),
  }));

/** Half of the time until the newest secret that counts now has to be followed by another, epoch ms. */
function halfLife(secrets: readonly Secret[], now: number): number {
  const current = secrets.filter(({ from }) => from <= now).map(({ until }) => until);
  return now + Math.max(LOOK_MS, (Math.max(now, ...current) - now) / 2);
}

// One look: gateway, resolvers and server asked at once. What has answered before is asked first, so that a look is a handful of
// packets and starts no program where that can be avoided.
import { isIP } from "node:net";
import { performance } from "node:perf_hooks";
import type { Reach } from "#contract/host-detail";
import { type Codec, loadCodec } from "./dns/codec.ts";
import { resolveHost } from "./resolve.ts";
import { ask, connectShot, type Hit, type Miss, neighbourShot, pingShot, resolverShot, type Shot } from "./self-test-shots.ts";
import {
  defaultGateways,
  type Endpoint,
  edgeEndpoint,
  type Gateway,
  OwnNetworks,
  type Resolver,
  resolversToAsk,
} from "./self-test-targets.ts";

/**
 * `sample` asks everybody and tries again where nothing came; `judge` ends with the first answer, since it only asks whether this
 * host reaches anything; `again` looks whether a cut line is back, without trying twice.
 */
export type Purpose = "sample" | "judge" | "again";

export interface Look {
  /** When the first packets left, milliseconds of performance.now(). */
  readonly at: number;
  readonly gateway: Asked;
  readonly resolver: Asked;
  readonly edge: Asked;
  /** Whether anything came back at all. */
  readonly reached: boolean;
  /** Whether there was anybody to ask. */
  readonly asked: boolean;
}

export interface Asked extends Reach {
  readonly reason: "timeout" | "no_route" | "not_applicable" | null;
}

/** Ports that gateways mostly accept or refuse rather than ignore. */
const GATEWAY_PORTS = [53, 80, 443] as const;
/** A program is started this often at most to see whether a silent gateway speaks, milliseconds. */
const START_EVERY_MS: Readonly<Record<Purpose, number>> = { sample: 600_000, judge: 0, again: 10_000 };
/** The server's name is resolved anew this often. */
const ADDRESS_LASTS_MS = 600_000;
const HOW_LENGTH = 100;

interface Moment {
  readonly purpose: Purpose;
  readonly at: number;
  readonly signal: AbortSignal;
}

const none = (how: string): Asked => ({ target: null, reached: null, ms: null, how, reason: "not_applicable" });
const NO_RESOLVER = none("there is no resolver beyond this host");

export class Looker {
  readonly own = new OwnNetworks();
  readonly #server: string;
  /** How each gateway answered last: a TCP port, `ping`, or `link`. */
  readonly #ways = new Map<string, number | "ping" | "link">();
  #started = Number.NEGATIVE_INFINITY;
  /** The server's last address that answered; dead DNS must not hide it. */
  #edge: { address: string; at: number } | undefined;

  constructor(server: string) {
    this.#server = server;
  }

  async look(purpose: Purpose, stop: AbortSignal): Promise<Look> {
    // Everything is read and loaded before the first packet leaves: what happens after that is on its clock.
    const gateways = defaultGateways();
    const resolvers = resolversToAsk(this.own);
    const codec = resolvers.length > 0 ? await loadCodec() : undefined;
    const endpoint = edgeEndpoint(this.#server);
    const enough = new AbortController();
    const end = () => enough.abort();
    stop.addEventListener("abort", end, { once: true });
    if (stop.aborted) enough.abort();
    const told = async (asked: Promise<Asked> | Asked): Promise<Asked> => {
      const answer = await asked;
      if (purpose === "judge" && answer.reached === true) enough.abort();
      return answer;
    };
    const at = performance.now();
    const when = { purpose, at, signal: enough.signal };
    try {
      const [gateway, resolver, edge] = await Promise.all([
        told(this.#askGateways(gateways, when)),
        told(codec === undefined ? NO_RESOLVER : askResolvers(resolvers, codec, when)),
        told(this.#askEdge(endpoint, when)),
      ]);
      const all = [gateway, resolver, edge];
      const reached = all.some((each) => each.reached === true);
      return { at, gateway, resolver, edge, reached, asked: all.some((each) => each.reached !== null) };
    } finally {
      stop.removeEventListener("abort", end);
    }
  }

  async #askGateways(gateways: readonly Gateway[] | undefined, { purpose, at, signal }: Moment): Promise<Asked> {
    if (gateways === undefined) return none("this system does not tell its gateway");
    const [first] = gateways;
    if (first === undefined) return none("there is no default route over a gateway");
    const programs = this.#mayStart(purpose, gateways, at);
    // One that answers is enough; the other family's is asked where it does not.
    const known = gateways.filter(({ address }) => this.#ways.has(address));
    const usual = known.length > 0 ? known : gateways;
    const early = programs && purpose === "judge";
    const volleys = [
      () => usual.flatMap((one) => this.#usualWay(one, { programs, early, at })),
      ...(purpose === "again" ? [] : [() => gateways.flatMap((one) => this.#everyWay(one, programs, at))]),
    ];
    const end = await ask(volleys, signal);
    if (end.hit) this.#ways.set(end.target, wayOf(end));
    return answer(first.address, end);
  }

  /** Whether this look may start programs: a sample where one shows the gateway's answer, or its usual answer is missing. */
  #mayStart(purpose: Purpose, gateways: readonly Gateway[], at: number): boolean {
    const promising = purpose === "sample" && gateways.some(({ address }) => this.#ways.has(address));
    return promising || at - this.#started >= START_EVERY_MS[purpose];
  }

  #ping(address: string, at: number): Shot {
    this.#started = at;
    return pingShot(address);
  }

  /** How the gateway answered last; `early` asks in every way at once, since there may be no second volley to wait for. */
  #usualWay({ address }: Gateway, { programs, early, at }: { programs: boolean; early: boolean; at: number }): Shot[] {
    const way = this.#ways.get(address);
    if (typeof way === "number") return [connectShot(address, way)];
    if (way === "ping" && programs) return [this.#ping(address, at)];
    const connects = GATEWAY_PORTS.map((port) => connectShot(address, port));
    return way === undefined && early ? [...connects, this.#ping(address, at)] : connects;
  }

  #everyWay(gateway: Gateway, programs: boolean, at: number): Shot[] {
    const { address } = gateway;
    const connects = GATEWAY_PORTS.map((port) => connectShot(address, port));
    if (!programs) return connects;
    // One that was only ever heard on its link does not answer ping either.
    const ping = this.#ways.get(address) === "link" ? [] : [this.#ping(address, at)];
    return [...connects, ...ping, neighbourShot(gateway, at)];
  }

  async #askEdge({ host, port, proxy }: Endpoint, { purpose, at, signal }: Moment): Promise<Asked> {
    const to = (address: string) => connectShot(address, port, this.own.isOwn(address));
    const anew: Shot = async (over) => {
      const found = await resolveHost(host, undefined, over);
      if (found.ok) return to(found.address)(over);
      return { hit: false, how: `its name was not resolved (${found.code})`, reason: "timeout" };
    };
    const known = isIP(host) === 0 ? this.#edge : { address: host, at };
    const old = known === undefined || (purpose !== "judge" && at - known.at > ADDRESS_LASTS_MS);
    const first = () => [...(known === undefined ? [] : [to(known.address)]), ...(old ? [anew] : [])];
    const end = await ask(purpose === "again" ? [first] : [first, () => [isIP(host) === 0 ? anew : to(host)]], signal);
    if (end.hit) this.#edge = { address: end.target, at: old ? at : (known?.at ?? at) };
    const asked = answer(known?.address ?? host, end);
    return proxy ? { ...asked, how: `its proxy ${asked.how}`.slice(0, HOW_LENGTH) } : asked;
  }
}

async function askResolvers(resolvers: readonly Resolver[], codec: Codec, { purpose, signal }: Moment): Promise<Asked> {
  const volley = () => resolvers.map((one) => resolverShot(one, codec));
  return answer(resolvers[0]?.address ?? "", await ask(purpose === "again" ? [volley] : [volley, volley], signal));
}

function wayOf({ how }: Hit): number | "ping" | "link" {
  const port = /TCP port (\d+)$/.exec(how)?.[1];
  return port !== undefined ? Number(port) : how === "answers ping" ? "ping" : "link";
}

const answer = (target: string, end: Hit | Miss): Asked =>
  end.hit
    ? { target: end.target, reached: true, ms: end.ms, how: end.how.slice(0, HOW_LENGTH), reason: null }
    : { target, reached: false, ms: null, how: end.how.slice(0, HOW_LENGTH), reason: end.reason };

// What this host agreed to: judges every order before it runs, and every address before anything is sent there.
import { isIP } from "node:net";
import type { Consent } from "#contract/consent";
import { checkHost } from "#contract/destination";
import type { Metrics } from "#contract/result";
import { checkTest, isTestTypeName, testType } from "#contract/test-types/index";
import type { DayBytes } from "./consent-day.ts";
import { SharedRate } from "./consent-rate.ts";
import { RuleSet } from "./consent-rules.ts";
import type { Permit } from "./permit.ts";
import type { RunOrder, Veto } from "./runner.ts";

const HERE = "this host's consent file";

/** What consent is judged with, beside the rules. It outlives them when the file changes. */
export interface ConsentParts {
  readonly pace?: Pace;
  readonly rate?: SharedRate;
  /** Counts the day's bytes; without it, a daily limit refuses everything. */
  readonly day?: DayBytes | undefined;
  /** Host of this agent's server, which is what `edge` names as a destination. */
  readonly server?: string | undefined;
}

/** A scheduled run may come this much early: timers and corrected clocks are not exact. Share of the interval, and ms. */
const EARLY = { share: 0.05, least_ms: 50, most_ms: 1000 } as const;

/** When each test last ran. */
export class Pace {
  readonly #last = new Map<string, number>();

  /** Whether the same ran less than `least_s` seconds ago; if not, it runs now. */
  tooSoon(what: string, least_s: number): boolean {
    const now = performance.now();
    const early = Math.min(EARLY.most_ms, Math.max(EARLY.least_ms, least_s * 1000 * EARLY.share));
    const least = least_s * 1000 - early;
    for (const [known, at] of this.#last) if (now - at >= least) this.#last.delete(known);
    if (this.#last.has(what)) return true;
    this.#last.set(what, now);
    return false;
  }
}

const isLiteral = (host: string): boolean => isIP(host) !== 0;

/** Rules about destinations. */
class Destinations {
  readonly #allowed: RuleSet | undefined;
  readonly #forbidden: RuleSet;
  readonly #server: string | undefined;

  constructor({ destinations, forbidden_destinations = [] }: Consent, server: string | undefined) {
    this.#allowed = destinations === undefined ? undefined : new RuleSet(destinations);
    this.#forbidden = new RuleSet(forbidden_destinations);
    this.#server = server;
  }

  /** A name may stand for the agent's own server, which rules call `edge` as tests do. */
  #isNamed(rules: RuleSet, host: string): boolean {
    return rules.names(host) || (host === this.#server && rules.names("edge"));
  }

  /**
   * Why a host (as checkHost writes it) may not be contacted. A name that no rule names is judged by its address where there are
   * rules for addresses, unless it is only `asked` about: then nobody looks where it leads.
   */
  host(host: string, asked = false): string | undefined {
    const forbidden = this.forbidden(host);
    if (forbidden !== undefined) return forbidden;
    const literal = isLiteral(host);
    const allowed = this.#allowed;
    if (allowed === undefined || this.#isNamed(allowed, host) || (literal && allowed.holds(host))) return undefined;
    return literal || asked || !allowed.hasBlocks ? `${HERE} does not allow ${host}` : undefined;
  }

  /** Why a name or address is forbidden, whatever is allowed. */
  forbidden(host: string): string | undefined {
    const named = this.#isNamed(this.#forbidden, host) || (isLiteral(host) && this.#forbidden.reaches(host));
    return named ? `${HERE} forbids ${host}` : undefined;
  }

  /** Why the address a host has may not be contacted; `own`: this system's resolver, which only a prohibition keeps from being asked. */
  address(host: string, address: string | undefined, own: boolean): string | undefined {
    const allowed = this.#allowed;
    if (address === undefined) {
      const free = allowed === undefined || this.#isNamed(allowed, host);
      return free ? undefined : `${HERE} does not allow ${host}, whose address could not be found`;
    }
    const shown = host === address ? address : `${host}, which is ${address} now`;
    if (this.#forbidden.reaches(address)) return `${HERE} forbids ${shown}`;
    if (allowed === undefined || own || this.#isNamed(allowed, host) || allowed.holds(address)) return undefined;
    return `${HERE} does not allow ${shown}`;
  }
}

/** An order whose parameters are checked. */
interface Checked {
  readonly order: RunOrder;
  readonly type: ReturnType<typeof testType>;
  readonly params: Record<string, unknown>;
}

function check(order: RunOrder): Checked | undefined {
  if (!isTestTypeName(order.type)) return undefined;
  const checked = checkTest(order.type, order.destination, order.params, order.interval_s);
  return checked.ok ? { order, type: testType(order.type), params: checked.params } : undefined;
}

/** The veto that rules amount to. Throws what is wrong with them. */
export function vetoOf(consent: Consent, parts: ConsentParts = {}): Veto {
  const destinations = new Destinations(consent, parts.server);
  const pace = parts.pace ?? new Pace();
  const rate = parts.rate ?? new SharedRate();
  return (order) => {
    if (Object.keys(consent).length === 0) return undefined;
    if (consent.types !== undefined && !consent.types.includes(order.type)) return `${HERE} does not allow ${order.type} tests`;
    const checked = check(order);
    if (checked === undefined)
      return `${HERE} has limits, and this test cannot be judged: its destination or parameters are wrong`;
    const objection =
      forbiddenHost(checked, destinations, parts.server) ??
      tooOften(order, consent.min_interval_s) ??
      tooMuch(checked, consent) ??
      tooSoon(checked, consent.min_interval_s, pace);
    return objection ?? permitOf(checked, { consent, destinations, parts, rate });
  };
}

const isEdge = ({ type, order }: Checked): boolean => type.type === "bandwidth" && order.destination.trim() === "edge";

/**
 * Whether literals that nobody named are the system's resolvers, asked as the system itself asks them. At a port or by a transport
 * of the order's choice they would be hosts like any other.
 */
const asksSystem = ({ type, params }: Checked): boolean =>
  type.type === "dns" && params.port === undefined && (params.transport === "udp" || params.transport === "tcp");

/** Hosts an order means to speak to: those its type names, and for `edge` the server only the agent knows. */
function contactsOf(checked: Checked, server: string | undefined): string[] {
  const contacts = checked.type.contacts(checked.order.destination, checked.params);
  return isEdge(checked) ? [...contacts, server ?? "edge"] : contacts;
}

function forbiddenHost(checked: Checked, destinations: Destinations, server: string | undefined): string | undefined {
  const { type, order, params } = checked;
  const asked = type.asks?.(order.destination, params) ?? [];
  for (const host of contactsOf(checked, server)) {
    const objection = destinations.host(host, asked.includes(host));
    if (objection !== undefined) return objection;
  }
  return asked.map((name) => destinations.forbidden(name)).find((objection) => objection !== undefined);
}

function tooOften({ interval_s }: RunOrder, least_s: number | undefined): string | undefined {
  return least_s !== undefined && interval_s !== undefined && interval_s < least_s ? pacing(least_s) : undefined;
}

const pacing = (least_s: number): string => `${HERE} asks for at least ${least_s} s between two runs of a test`;

function tooSoon({ order, type, params }: Checked, least_s: number | undefined, pace: Pace): string | undefined {
  if (least_s === undefined || least_s === 0) return undefined;
  // A single order is known by its hosts: one destination can be written in many ways.
  const hosts = () => [...type.contacts(order.destination, params), ...(type.asks?.(order.destination, params) ?? [])];
  return pace.tooSoon(order.series ?? [type.type, ...hosts()].join(" "), least_s) ? pacing(least_s) : undefined;
}

const shown = (bytes: number): string => (bytes < 1e6 ? `${bytes} bytes` : `${(bytes / 1e6).toFixed(1)} MB`);

function tooMuch({ type, params, order }: Checked, consent: Consent): string | undefined {
  const { max_packets_per_s: rate, max_bytes_per_run: run, max_bytes_per_day: day } = consent;
  if (rate === undefined && run === undefined && day === undefined) return undefined;
  const traffic = type.traffic?.(params, order.interval_s);
  if (traffic === undefined) return `${HERE} limits traffic, and what a ${type.type} test needs is not known`;
  const { packets_per_s, bytes } = traffic;
  if (rate !== undefined && packets_per_s > rate) {
    const most = Number.isFinite(packets_per_s) ? `up to ${Math.ceil(packets_per_s)}` : "as many as the line carries";
    return `${HERE} allows ${rate} packets or requests a second; this run may send ${most}`;
  }
  if (run !== undefined && bytes > run) return `${HERE} allows ${shown(run)} a run; this one may move up to ${shown(bytes)}`;
  return undefined;
}

interface Grounds {
  readonly consent: Consent;
  readonly destinations: Destinations;
  readonly parts: ConsentParts;
  readonly rate: SharedRate;
}

/** Leave to run, the day's bytes taken; or why there are none left. */
function permitOf(checked: Checked, { consent, destinations, parts, rate }: Grounds): Permit | string {
  const { order, type, params } = checked;
  const { bytes: planned, packets_per_s } = type.traffic?.(params, order.interval_s) ?? { bytes: 0, packets_per_s: 0 };
  const most = consent.max_bytes_per_day;
  const settle = most === undefined ? () => undefined : parts.day?.enter(planned, most);
  if (settle === undefined) {
    const used = shown(parts.day?.today ?? 0);
    return `${HERE} allows ${shown(most ?? 0)} a day (UTC), of which ${used} are used; this run may move up to ${shown(planned)}`;
  }
  const contacts = contactsOf(checked, parts.server);
  const fastest = consent.max_packets_per_s;
  let slower: (() => void) | undefined;
  return {
    turn: async (stop) => {
      if (fastest === undefined) return true;
      slower = await rate.take(packets_per_s, fastest, stop);
      return slower !== undefined;
    },
    destination: (destination) => {
      const next = check({ ...order, destination, interval_s: undefined });
      return next === undefined
        ? `${HERE} has limits, and this destination cannot be judged`
        : forbiddenHost(next, destinations, parts.server);
    },
    address: (host, address) =>
      destinations.address(host, address, asksSystem(checked) && isIP(host) !== 0 && !contacts.includes(host)),
    ended: (metrics: Metrics | undefined) => {
      slower?.();
      settle(metrics === undefined ? 0 : Math.min(planned, type.moved?.(params, metrics) ?? planned));
    },
  };
}

/** A server's host as rules and tests write it; undefined for an address that has none. */
export function hostOf(server: string): string | undefined {
  if (!URL.canParse(server)) return undefined;
  const checked = checkHost(new URL(server).hostname.replace(/^\[|\]$/g, ""));
  return checked.ok ? checked.host : undefined;
}

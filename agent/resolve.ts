// Finds the address to measure: literals, the hosts file, then DNS with a time limit of our own.
// getaddrinfo only serves names DNS does not hold (single labels, mDNS): it blocks a shared thread for seconds when it fails.
// Whatever a name leads to passes the destination grammar again, or a name could smuggle in what a literal may not be.
import { AsyncLocalStorage } from "node:async_hooks";
import { lookup, Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { checkHost } from "#contract/destination";
import type { ErrorCode } from "#contract/result";
import { PlacePool } from "./places.ts";
import { round3 } from "./statistics.ts";

const BUDGET_MS = 2000;
const TRY_MS = 900;

export type Family = 4 | 6;
export type Via = "literal" | "hosts" | "dns" | "system";

export type Resolution =
  | { ok: true; address: string; family: Family; via: Via; resolve_ms: number }
  | { ok: false; code: ErrorCode; message: string; resolve_ms: number };

/** Why a host may not be spoken to at the address it was resolved to, or undefined. Without an address none was found. */
export type AddressGuard = (host: string, address: string | undefined) => string | undefined;

/**
 * Surrounds a run rather than being handed through it: every name that the run resolves, now or in a later version of its probe,
 * comes by here.
 */
const guards = new AsyncLocalStorage<AddressGuard>();

/** Work whose every resolved address the guard judges before anything is sent there. */
export const guarded = <Result>(guard: AddressGuard, work: () => Promise<Result>): Promise<Result> => guards.run(guard, work);

/** Where the hosts file is on this system. */
function hostsFile(): string {
  return process.platform === "win32"
    ? join(process.env.SystemRoot ?? "C:\\Windows", "System32", "drivers", "etc", "hosts")
    : "/etc/hosts";
}

/** Addresses the hosts file gives a name, in its order (hosts(5)). */
export function parseHosts(text: string, name: string): string[] {
  const wanted = name.toLowerCase();
  return text.split("\n").flatMap((line) => {
    const [address, ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    return address !== undefined && isIP(address) !== 0 && names.some((each) => each.toLowerCase() === wanted) ? [address] : [];
  });
}

interface Reason {
  readonly code: ErrorCode;
  readonly message: string;
}
type Answer = { addresses: readonly string[] } | Reason;

async function fromHosts(name: string): Promise<readonly string[]> {
  const text = await readFile(hostsFile(), "utf8").catch(() => "");
  const addresses = parseHosts(text, name);
  // RFC 6761 6.3: localhost is always this host, whatever the file forgot.
  if (name === "localhost" || name.endsWith(".localhost")) addresses.push("127.0.0.1", "::1");
  return [...new Set(addresses)];
}

const ofFamily = (addresses: readonly string[], family: Family | undefined): readonly string[] =>
  family === undefined ? addresses : addresses.filter((address) => isIP(address) === family);

/** What a resolver's error means: the name is unknown, has no such address, or the resolver gave no answer. */
export function classifyDnsError(error: unknown, name: string): Reason {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  switch (code) {
    case "ENOTFOUND":
      return { code: "dns_not_found", message: `the name ${name} does not exist` };
    case "ENODATA":
      return { code: "no_address", message: `the name ${name} has no such address` };
    case "ETIMEOUT":
    case "ECANCELLED":
      return { code: "dns_timeout", message: `no resolver answered for ${name} in time` };
    default:
      return { code: "dns_failed", message: `the resolver could not answer for ${name} (${code || String(error)})` };
  }
}

/** The addresses among these that may be measured, or why none may. */
function permitted(addresses: readonly string[], name: string): Answer {
  const checks = addresses.map((address) => ({ address, check: checkHost(address) }));
  // In the grammar's spelling, which is also how tools print it.
  const good = checks.flatMap(({ check }) => (check.ok ? [check.host] : []));
  const [bad] = checks;
  if (good.length > 0 || bad === undefined || bad.check.ok) return { addresses: good };
  return { code: "unsupported", message: `the name ${name} leads to ${bad.address}, which ${bad.check.message}` };
}

async function query(resolver: Resolver, name: string, family: Family): Promise<Answer> {
  try {
    const addresses = family === 4 ? await resolver.resolve4(name) : await resolver.resolve6(name);
    return addresses.length > 0 ? permitted(addresses, name) : classifyDnsError({ code: "ENODATA" }, name);
  } catch (error) {
    return classifyDnsError(error, name);
  }
}

/** Addresses of both answers, or, with none of either kind, the answer that says more about the name. */
function merge(fourth: Answer, sixth: Answer): Answer {
  if ("addresses" in fourth) return { addresses: [...fourth.addresses, ...("addresses" in sixth ? sixth.addresses : [])] };
  if ("addresses" in sixth) return sixth;
  return fourth.code === "no_address" ? sixth : fourth;
}

/** IPv4 first: done when it has an address, without waiting for the other. */
async function askFirst(resolver: Resolver, name: string): Promise<Answer> {
  const sixth = query(resolver, name, 6);
  const fourth = await query(resolver, name, 4);
  return "addresses" in fourth ? fourth : merge(fourth, await sixth);
}

async function fromDns(name: string, family: Family | undefined, signal: AbortSignal | undefined): Promise<Answer> {
  if (signal?.aborted) return classifyDnsError({ code: "ECANCELLED" }, name);
  const resolver = new Resolver({ timeout: TRY_MS, tries: 2 });
  const cancel = () => resolver.cancel();
  const timer = setTimeout(cancel, BUDGET_MS);
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    return family === undefined ? await askFirst(resolver, name) : await query(resolver, name, family);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
    resolver.cancel();
  }
}

/** What getaddrinfo said and how long it took once it was its turn, milliseconds. */
export interface SystemAnswer {
  readonly addresses: readonly string[];
  /** Its error code (ENOTFOUND, EAI_AGAIN, …), null when it answered. */
  readonly error: string | null;
  readonly took_ms: number;
}

/** Half of Node's thread pool. */
const systemPlaces = new PlacePool({ lookups: 2 });

/**
 * getaddrinfo, two at a time, so that dead names cannot fill the thread pool (nodejs/node #8436).
 * Undefined when it has not answered when the signal aborts; it cannot be called off, only no longer waited for.
 */
export function systemLookup(name: string, family: Family | undefined, signal: AbortSignal): Promise<SystemAnswer | undefined> {
  const turn = systemPlaces.take({ lookups: 1 }, signal).then(async (leave): Promise<SystemAnswer | undefined> => {
    if (leave === undefined) return undefined;
    const start = performance.now();
    const took = () => round3(performance.now() - start);
    try {
      const found = await lookup(name, { all: true, family: family ?? 0 });
      return { addresses: found.map(({ address }) => address), error: null, took_ms: took() };
    } catch (error) {
      return { addresses: [], error: (error as NodeJS.ErrnoException).code ?? String(error), took_ms: took() };
    } finally {
      leave();
    }
  });
  return orAborted(turn, signal);
}

/** The promise's value, or undefined as soon as the signal aborts. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  if (signal.aborted) return Promise.resolve(undefined);
  return new Promise((resolve, reject) => {
    const abort = () => resolve(undefined);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

async function fromSystem(name: string, signal: AbortSignal | undefined): Promise<readonly string[]> {
  const limit = AbortSignal.timeout(BUDGET_MS);
  const answer = await systemLookup(name, undefined, signal === undefined ? limit : AbortSignal.any([signal, limit]));
  return answer?.addresses ?? [];
}

/** Addresses of a name from the hosts file, DNS or the system, in that order; the first that has any wins. */
async function find(
  name: string,
  family: Family | undefined,
  signal: AbortSignal | undefined,
): Promise<(Answer & { via: Via }) | Reason> {
  const local = ofFamily(await fromHosts(name), family);
  if (local.length > 0) return { ...permitted(local, name), via: "hosts" };
  const answer = await fromDns(name, family, signal);
  if ("addresses" in answer) return { ...answer, via: "dns" };
  if (answer.code !== "unsupported" && (!name.includes(".") || name.endsWith(".local"))) {
    const others = ofFamily(await fromSystem(name, signal), family);
    if (others.length > 0) return { ...permitted(others, name), via: "system" };
  }
  return answer;
}

/**
 * Resolves a host that passed the destination grammar to the address to measure, IPv4 first where no family is asked for.
 * Takes at most about two seconds, four for single labels, and ends within milliseconds of the signal. An address that could
 * not be a destination itself (multicast, broadcast, unspecified, cloud metadata) is refused with code `unsupported`, one that
 * this host's owner forbids with `not_consented`.
 */
export async function resolveHost(host: string, family?: Family, signal?: AbortSignal): Promise<Resolution> {
  const found = await addressOf(host, family, signal);
  // An address is judged even when nobody waits for it any more; that none was found then says nothing.
  const judged = found.ok || signal?.aborted !== true;
  const objection = judged ? guards.getStore()?.(host, found.ok ? found.address : undefined) : undefined;
  return objection === undefined ? found : { ok: false, code: "not_consented", message: objection, resolve_ms: found.resolve_ms };
}

async function addressOf(host: string, family?: Family, signal?: AbortSignal): Promise<Resolution> {
  const start = performance.now();
  if (isIP(host) !== 0) return { ok: true, address: host, family: isIP(host) === 6 ? 6 : 4, via: "literal", resolve_ms: 0 };
  const found = await find(host, family, signal);
  const resolve_ms = round3(performance.now() - start);
  if (!("addresses" in found)) return { ok: false, code: found.code, message: found.message, resolve_ms };
  const address = found.addresses.find((each) => isIP(each) === 4) ?? found.addresses[0];
  if (address === undefined) return { ok: false, ...classifyDnsError({ code: "ENODATA" }, host), resolve_ms };
  return { ok: true, address, family: isIP(address) === 6 ? 6 : 4, via: found.via, resolve_ms };
}

// Finds the address to measure: literals, the hosts file, then DNS with a time limit of our own.
// getaddrinfo only serves names DNS does not hold (single labels, mDNS): it blocks a shared thread for seconds when it fails.
import { lookup, Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import type { ErrorCode } from "#contract/result";

const BUDGET_MS = 2000;
const TRY_MS = 900;

export type Family = 4 | 6;

export type Resolution =
  | { ok: true; address: string; family: Family; via: "literal" | "hosts" | "dns" | "system"; resolve_ms: number }
  | { ok: false; code: ErrorCode; message: string; resolve_ms: number };

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

async function fromHosts(name: string, family: Family | undefined): Promise<string | undefined> {
  const text = await readFile(hostsFile(), "utf8").catch(() => "");
  const addresses = parseHosts(text, name);
  // RFC 6761 6.3: localhost is always this host, whatever the file forgot.
  if (name === "localhost" || name.endsWith(".localhost")) addresses.push("127.0.0.1", "::1");
  return pick(addresses, family);
}

/** The first address of the wanted family; IPv4 first where none is wanted. */
function pick(addresses: readonly string[], family: Family | undefined): string | undefined {
  const of = (version: Family) => addresses.find((address) => isIP(address) === version);
  return family === undefined ? (of(4) ?? of(6)) : of(family);
}

type Answer = { address: string } | { code: ErrorCode; message: string };

/** What a resolver's error means: the name is unknown, has no such address, or the resolver gave no answer. */
export function classifyDnsError(error: unknown, name: string): { code: ErrorCode; message: string } {
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

async function query(resolver: Resolver, name: string, family: Family): Promise<Answer> {
  try {
    const addresses = family === 4 ? await resolver.resolve4(name) : await resolver.resolve6(name);
    const [address] = addresses;
    return address === undefined ? classifyDnsError({ code: "ENODATA" }, name) : { address };
  } catch (error) {
    return classifyDnsError(error, name);
  }
}

async function fromDns(name: string, family: Family | undefined, signal: AbortSignal | undefined): Promise<Answer> {
  const resolver = new Resolver({ timeout: TRY_MS, tries: 2 });
  const cancel = () => resolver.cancel();
  const timer = setTimeout(cancel, BUDGET_MS);
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    if (family !== undefined) return await query(resolver, name, family);
    const sixth = query(resolver, name, 6);
    const fourth = await query(resolver, name, 4);
    if ("address" in fourth) return fourth;
    const other = await sixth;
    if ("address" in other) return other;
    // With no address of either kind, the answer that says more about the name wins.
    return fourth.code === "no_address" ? other : fourth;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
    resolver.cancel();
  }
}

let systemQueue: Promise<unknown> = Promise.resolve();

/** getaddrinfo, one at a time, so that dead names cannot fill the thread pool (nodejs/node #8436). */
async function fromSystem(name: string, family: Family | undefined): Promise<string | undefined> {
  const turn = systemQueue.then(async () => {
    const addresses = await lookup(name, { all: true, family: family ?? 0 }).catch(() => []);
    return pick(
      addresses.map(({ address }) => address),
      family,
    );
  });
  systemQueue = turn;
  const limit = new Promise<undefined>((resolve) => setTimeout(resolve, BUDGET_MS, undefined).unref());
  return Promise.race([turn, limit]);
}

/** Resolves a host that passed the destination grammar. Takes at most about two seconds, four for single labels. */
export async function resolveHost(host: string, family?: Family, signal?: AbortSignal): Promise<Resolution> {
  const start = performance.now();
  const found = (address: string, via: "literal" | "hosts" | "dns" | "system"): Resolution => ({
    ok: true,
    address,
    family: isIP(address) === 6 ? 6 : 4,
    via,
    resolve_ms: via === "literal" ? 0 : Math.round((performance.now() - start) * 1000) / 1000,
  });
  if (isIP(host) !== 0) return found(host, "literal");
  const local = await fromHosts(host, family);
  if (local !== undefined) return found(local, "hosts");
  const answer = await fromDns(host, family, signal);
  if ("address" in answer) return found(answer.address, "dns");
  if (!host.includes(".") || host.endsWith(".local")) {
    const address = await fromSystem(host, family);
    if (address !== undefined) return found(address, "system");
  }
  return { ok: false, ...answer, resolve_ms: Math.round((performance.now() - start) * 1000) / 1000 };
}

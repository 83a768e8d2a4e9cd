// Finds the server in DNS when nobody names it: SRV _streamswarm._tcp in the search domains (RFC 2782).
import { Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";

/** Search domains of resolv.conf(5); the last `search` or `domain` line wins. */
export function searchDomains(resolvConf: string): string[] {
  let domains: string[] = [];
  for (const line of resolvConf.split("\n")) {
    const [keyword, ...names] = line.trim().split(/\s+/);
    if (keyword === "search" || keyword === "domain")
      domains = names.filter((name) => /^[A-Za-z0-9._-]+$/.test(name) && name !== ".");
  }
  return domains;
}

/** The record to use: lowest priority, then highest weight. */
export function chooseTarget(records: readonly { name: string; port: number; priority: number; weight: number }[]) {
  return [...records]
    .filter(({ name }) => name !== "" && name !== ".")
    .sort((a, b) => a.priority - b.priority || b.weight - a.weight)[0];
}

/** The server's address, always https, or undefined. */
export async function discoverServer(): Promise<string | undefined> {
  const text = await readFile("/etc/resolv.conf", "utf8").catch(() => "");
  const resolver = new Resolver({ timeout: 1000, tries: 2 });
  for (const domain of searchDomains(text)) {
    const records = await resolver.resolveSrv(`_streamswarm._tcp.${domain}`).catch(() => []);
    const target = chooseTarget(records);
    if (target !== undefined) return `https://${target.name.replace(/\.$/, "")}${target.port === 443 ? "" : `:${target.port}`}`;
  }
  return undefined;
}

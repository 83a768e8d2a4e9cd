// How the agent's own connections leave the house: proxies and extra certificate authorities.
import { readFileSync } from "node:fs";
import http from "node:http";
import tls from "node:tls";
import { UsageError } from "./exit.ts";

/** Sends fetch and WebSocket through HTTPS_PROXY, HTTP_PROXY and NO_PROXY. Measurements never go through a proxy. */
export function useProxyFromEnvironment(env: NodeJS.ProcessEnv = process.env): boolean {
  const named = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"].some((name) => (env[name] ?? "") !== "");
  if (!named) return false;
  try {
    http.setGlobalProxyFromEnv(env);
    return true;
  } catch (error) {
    throw new UsageError(`HTTPS_PROXY or HTTP_PROXY is not usable: ${(error as Error).message}`);
  }
}

/** Trusts the certificates in a PEM file besides the usual ones. */
export function trustCa(path: string): void {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`--ca ${path} cannot be read: ${(error as Error).message}`);
  }
  const certificates = text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g);
  if (certificates === null)
    throw new UsageError(`--ca ${path} holds no certificate; give a PEM file with BEGIN CERTIFICATE lines`);
  try {
    tls.setDefaultCACertificates([...tls.getCACertificates("default"), ...certificates]);
  } catch (error) {
    throw new UsageError(`--ca ${path} is not a usable certificate: ${(error as Error).message}`);
  }
}

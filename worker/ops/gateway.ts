// What the starter test pings: the default gateway when it answers, else this machine itself.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);
const FALLBACK = "127.0.0.1";

export async function findStarterDestination(): Promise<string> {
  const gateway = await defaultGateway();
  return gateway !== null && (await answers(gateway)) ? gateway : FALLBACK;
}

async function defaultGateway(): Promise<string | null> {
  try {
    if (process.platform === "linux") return parseLinuxRoutes(await readFile("/proc/net/route", "utf8"));
    if (process.platform === "win32") {
      const query = "(Get-NetRoute -DestinationPrefix 0.0.0.0/0 | Sort-Object RouteMetric | Select-Object -First 1).NextHop";
      return (await run("powershell.exe", ["-NoProfile", "-Command", query])).stdout.trim() || null;
    }
    const { stdout } = await run("route", ["-n", "get", "default"]);
    return stdout.match(/gateway:\s*([\d.]+)/)?.[1] ?? null;
  } catch {
    // No route, no such tool or not allowed to look: all mean that no gateway is known.
    return null;
  }
}

/** Default route with the lowest metric in the text of /proc/net/route, whose addresses are hexadecimal in memory order. */
export function parseLinuxRoutes(text: string): string | null {
  const routes = text
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, destination, gateway]) => destination === "00000000" && gateway !== undefined && gateway !== "00000000")
    .sort((a, b) => Number(a[6]) - Number(b[6]));
  const hex = routes[0]?.[2];
  if (!hex) return null;
  return (hex.match(/../g) ?? [])
    .reverse()
    .map((byte) => Number.parseInt(byte, 16))
    .join(".");
}

/** One ping, at most a second: many gateways never answer, and a test that fails from the start teaches nobody. */
async function answers(address: string): Promise<boolean> {
  const wait = { linux: ["-c", "1", "-W", "1"], darwin: ["-c", "1", "-t", "1"], win32: ["-n", "1", "-w", "1000"] };
  const args = process.platform in wait ? wait[process.platform as keyof typeof wait] : wait.linux;
  try {
    await run("ping", [...args, address], { timeout: 2500 });
    return true;
  } catch {
    // No answer, or no ping on this machine.
    return false;
  }
}

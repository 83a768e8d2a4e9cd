// Hostile destinations against every test type: refused by name, before anything is started (measurement.md, E2 to E4).
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { checkEndpoint, checkHost, checkUrl } from "#contract/destination";
import { TEST_TYPE_NAMES, type TestTypeName } from "#contract/test-types/index";
import { readParameters } from "../../agent/cli-probe.ts";
import { UsageError } from "../../agent/exit.ts";
import { runTest } from "../../agent/runner.ts";
import { cli, fakeTools, scratch } from "./helpers/cli.ts";

/** No host of any kind. */
const HOSTILE = [
  "",
  " ",
  "-f",
  "--help",
  "-c1",
  "$(id)",
  "`id`",
  "a;id",
  "a|id",
  "a&&id",
  "a b",
  "a\nb",
  "a\0b",
  "a\u202eb",
  "010.077.100.001",
  "10.77.25601",
  "0x7f.0.0.1",
  "0x7f000001",
  "2130706433",
  "127.1",
  "1.2.3.4.5",
  "256.1.1.1",
  "0.0.0.0",
  "255.255.255.255",
  "224.0.0.1",
  "ff02::1",
  "::",
  "::ffff:127.0.0.1",
  "fd00::1%eth0;id",
  "::a9fe:a9fe",
  "64:ff9b::a9fe:a9fe",
  "64:ff9b::169.254.169.254",
  "64:ff9b:1:a9fe:00a9:fe00::",
  "2002:a9fe:a9fe::1",
  "64:ff9b::ffff:ffff",
  "fd00:ec2:0:0:0:0:0:254",
  "169.254.170.2",
  "100.100.100.200",
  "2001:db8::1%eth0",
  "169.254.169.254",
  `${"a".repeat(64)}.example`,
  `${"a.".repeat(130)}example`,
  "-leading.example",
  "trailing-.example",
  "exa mple.example",
  "'quoted'.example",
  "a/../../etc/passwd",
  "file:///etc/passwd",
  "javascript:alert(1)",
];
/** Ports that are none. */
const PORTS = ["0", "65536", "-1", "80;id", "1e3", "0x50", " 80", ""];

/** The hostile host as this type's destination; a name to look up may be odder than a host to measure, so it has its own tests. */
const dressed = (type: TestTypeName, host: string): string[] => {
  if (type !== "http") return [host];
  // With a slash in it, the part before is a host and the rest a path: a URL like any other.
  return host.includes("/") ? [host] : [host, `http://${host}/`, `https://${host}:443/x`];
};

const TYPES = TEST_TYPE_NAMES.filter((type) => type !== "dns");

describe("bad destinations", () => {
  const marker = join(scratch(), "started");
  const names = ["ping", "traceroute", "mtr", "tracepath", "ss", "ip", "fping", "tcpdump"];
  beforeAll(() => {
    vi.stubEnv("STREAMSWARM_TOOL_PATH", fakeTools(Object.fromEntries(names.map((name) => [name, `echo ${name} >> ${marker}`]))));
  });
  afterAll(() => {
    vi.unstubAllEnvs();
  });

  test.each(TYPES)("%s names the destination on the command line", (type) => {
    for (const destination of HOSTILE.flatMap((host) => dressed(type, host))) {
      const refuse = () => readParameters(type, destination, {});
      expect(refuse, destination).toThrow(UsageError);
      expect(refuse, destination).toThrow(/destination/);
    }
  });

  test.each(TYPES)("%s ordered by a server is refused as a result, and no tool is started", async (type) => {
    for (const destination of HOSTILE.flatMap((host) => dressed(type, host))) {
      const result = await runTest({ type, destination, params: {} }, AbortSignal.timeout(10_000));
      expect(result, destination).toMatchObject({ status: "failed", error: { code: "invalid_instruction", source: "agent" } });
    }
    expect(existsSync(marker)).toBe(false);
  });

  test("a dns question is no option, no control character and no address of the wrong kind", () => {
    for (const name of ["", "-f", "a b", "a\nb", "$(id)", "a;id", `${"a".repeat(64)}.example`, "0x7f.0.0.1"]) {
      expect(() => readParameters("dns", name, {}), name).toThrow(/destination/);
    }
  });

  test.each(TYPES)("%s exits 2", async (type) => {
    const { code, stdout, stderr } = await cli(["probe", type, "010.077.100.001"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/destination/);
    expect(existsSync(marker)).toBe(false);
  });
});

describe("bad parameters", () => {
  test.each(TEST_TYPE_NAMES)("%s refuses unknown and unbounded ones by the option's name", (type) => {
    const good = type === "http" ? "http://127.0.0.1/" : "127.0.0.1";
    const name = type === "dns" ? "host.example" : good;
    for (const timeout of ["0", "-1", "1e9", "NaN", "Infinity", "1;id", "$(id)", "", "9".repeat(400)]) {
      expect(() => readParameters(type, name, { timeout }), timeout).toThrow(/--timeout/);
    }
  });

  test.each(TEST_TYPE_NAMES)("%s ordered with one it does not know says so", async (type) => {
    const destination = type === "http" ? "http://127.0.0.1/" : "host.example";
    const result = await runTest({ type, destination, params: { shell: "id" } }, AbortSignal.timeout(10_000));
    expect(result.error).toMatchObject({ code: "invalid_instruction" });
    expect(result.error?.message).toContain("shell");
  });
});

describe("endpoints", () => {
  test("a host, with its port or without", () => {
    expect(checkEndpoint("Crm.Example:8443")).toEqual({ ok: true, host: "crm.example", version: 0, port: 8443 });
    expect(checkEndpoint("192.0.2.1:80")).toEqual({ ok: true, host: "192.0.2.1", version: 4, port: 80 });
    expect(checkEndpoint("2001:db8::1")).toEqual({ ok: true, host: "2001:db8::1", version: 6, port: undefined });
    expect(checkEndpoint("[2001:db8::1]:853")).toEqual({ ok: true, host: "2001:db8::1", version: 6, port: 853 });
    expect(checkEndpoint("[2001:db8::1]")).toMatchObject({ ok: true, port: undefined });
  });

  test.each(PORTS)("no port '%s'", (port) => {
    expect(checkEndpoint(`host.example:${port}`).ok).toBe(false);
    expect(checkEndpoint(`[2001:db8::1]:${port}`).ok).toBe(false);
  });

  test.each(["[192.0.2.1]:80", "[host.example]:80", "[2001:db8::1", "2001:db8::1]", "[]", "[::1]x", "a:b:c"])(
    "%s is none",
    (text) => {
      expect(checkEndpoint(text).ok).toBe(false);
    },
  );
});

test("an IPv6 address is known by one spelling, which is how tools print it (RFC 5952)", () => {
  expect(checkHost("2001:DB8:0:0:0:0:0:10")).toEqual({ ok: true, host: "2001:db8::10", version: 6 });
  expect(checkHost("FE80:0::1%eth0")).toEqual({ ok: true, host: "fe80::1%eth0", version: 6 });
  expect(checkHost("64:ff9b::192.0.2.1")).toEqual({ ok: true, host: "64:ff9b::c000:201", version: 6 });
  expect(checkHost("::1")).toEqual({ ok: true, host: "::1", version: 6 });
});

describe("URLs", () => {
  test("path and query stay as they were written", () => {
    expect(checkUrl("https://Crm.Example/a%20b?x=1&y=%26&z")).toEqual({
      ok: true,
      url: "https://crm.example/a%20b?x=1&y=%26&z",
      scheme: "https",
      host: "crm.example",
      version: 0,
      port: 443,
    });
    expect(checkUrl("http://[2001:db8::1]:8080/")).toMatchObject({ ok: true, host: "2001:db8::1", version: 6, port: 8080 });
    expect(checkUrl("http://192.0.2.1")).toMatchObject({ ok: true, host: "192.0.2.1", port: 80 });
  });

  test.each([
    "crm.example",
    "ftp://crm.example/",
    "//crm.example/",
    "http:crm.example",
    "http:///path",
    "https://user:secret@crm.example/",
    "https://user@crm.example/",
    "http://crm.example:99999/",
    "http://127.1/",
    "http://0x7f.0.0.1/",
    "http://2130706433/",
    "http://169.254.169.254/latest/meta-data",
    "http://crm.example\\@evil.example/",
    "http://crm.example/a b",
    "http://crm.example/a\r\nHost: evil",
    "http://[::ffff:127.0.0.1]/",
  ])("%j is refused", (text) => {
    expect(checkUrl(text).ok).toBe(false);
  });
});

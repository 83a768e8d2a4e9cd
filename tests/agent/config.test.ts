import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readConfig } from "../../agent/cli-run.ts";
import { chooseTarget, searchDomains } from "../../agent/discovery.ts";
import { UsageError } from "../../agent/exit.ts";
import { StateDir } from "../../agent/identity.ts";
import { installHint, managerOf } from "../../agent/install-hint.ts";
import { readableLine } from "../../agent/log.ts";
import { parseHosts } from "../../agent/resolve.ts";
import { cli, scratch } from "./helpers/cli.ts";

const file = (content: string): string => {
  const path = join(scratch(), "file.json");
  writeFileSync(path, content);
  return path;
};

describe("configuration", () => {
  const config = file(JSON.stringify({ server: "https://file.example/", name: "from-file", site: "file", tags: { floor: "1" } }));

  test("flag before environment before file, setting by setting", () => {
    const read = readConfig(
      { config, name: "from-flag" },
      { STREAMSWARM_NAME: "from-env", STREAMSWARM_SITE: "env", STREAMSWARM_TAG: "a=1, b=2" },
    );
    expect(read).toMatchObject({
      server: "https://file.example",
      name: "from-flag",
      site: "env",
      tags: { a: "1", b: "2" },
      log_level: "info",
    });
  });

  test.each([
    ["server without scheme", { server: "streamswarm.example" }, /--server/],
    ["server of another kind", { server: "ftp://x" }, /--server/],
    ["server with a password", { server: "https://u:p@x" }, /--server holds a user name/],
    ["tag without =", { tag: ["floor"] }, /--tag 'floor' is not key=value/],
    ["log level", { logLevel: "loud" }, /--log-level must be one of/],
    ["name with a control character", { name: "a\u0007" }, /--name/],
    ["missing file", { config: "/nonexistent.json" }, /no such file/],
  ])("%s is refused by name", (_title, flags, message) => {
    expect(() => readConfig(flags, {})).toThrow(message);
    expect(() => readConfig(flags, {})).toThrow(UsageError);
  });

  test("a file with a typing mistake names the setting, one that is no JSON the line", () => {
    expect(() => readConfig({ config: file('{"servr": "https://x"}') }, {})).toThrow(/unknown setting servr/);
    expect(() => readConfig({ config: file('{\n "server": "https://x",\n "name": }') }, {})).toThrow(/line 3/);
  });

  test("`run` without any server ends with 2 and names --server", async () => {
    const { code, stderr } = await cli(["run", "--state", scratch(), "--server", "nonsense"]);
    expect(code).toBe(2);
    expect(stderr).toContain("--server");
  });
});

describe("state directory", () => {
  test.skipIf(process.platform !== "linux")("where none can be made, that is said at once", async () => {
    const { code, stderr } = await cli(["run", "--state", "/proc/none/state", "--server", "http://127.0.0.1:9"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/--state \/proc\/none\/state cannot be used: ENOENT/);
  });

  test("is private, and keeps one identity", () => {
    const state = new StateDir(join(scratch(), "above", "state"));
    state.prepare();
    const first = state.loadIdentity();
    expect(first).toMatchObject({ client_id: null, token: null, server: null });
    state.saveIdentity({ ...first, client_id: "c1", token: "secret" });
    expect(new StateDir(state.path).loadIdentity()).toEqual({ ...first, client_id: "c1", token: "secret" });
    expect(statSync(state.path).mode & 0o777).toBe(0o700);
    expect(statSync(state.file("identity.json")).mode & 0o777).toBe(0o600);
    expect(readdirSync(state.path)).toEqual(["identity.json"]);
  });
  test("an unreadable identity is kept aside, not overwritten", () => {
    const path = scratch();
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "identity.json"), "{half");
    new StateDir(path).loadIdentity();
    expect(readdirSync(path).some((name) => name.startsWith("identity.json.unreadable-"))).toBe(true);
  });
  test("the last instruction survives", () => {
    const state = new StateDir(scratch());
    expect(state.loadInstruction()).toBeUndefined();
    const instruction = { revision: 4, tests: [], upload_s: 60 };
    state.saveInstruction(instruction);
    expect(new StateDir(state.path).loadInstruction()).toEqual(instruction);
  });
});

test("search domains of resolv.conf, and the best SRV record", () => {
  expect(searchDomains("nameserver 10.0.0.1\nsearch office.example corp.example\n")).toEqual(["office.example", "corp.example"]);
  expect(searchDomains("domain a.example\nsearch b.example .\n")).toEqual(["b.example"]);
  const record = (name: string, priority: number, weight: number) => ({ name, port: 443, priority, weight });
  expect(chooseTarget([record("slow", 20, 0), record("light", 10, 1), record("heavy", 10, 9)])?.name).toBe("heavy");
  expect(chooseTarget([record(".", 0, 0)])).toBeUndefined();
});

test("hosts file: first match, any letter case, comments ignored", () => {
  const text = "127.0.0.1 localhost # loopback\n10.0.0.5 Gateway gw.lan\n# 10.0.0.6 gateway\nnonsense gateway\n";
  expect(parseHosts(text, "gateway")).toEqual(["10.0.0.5"]);
  expect(parseHosts(text, "GW.LAN")).toEqual(["10.0.0.5"]);
  expect(parseHosts(text, "other")).toEqual([]);
});

test("install hints speak the system's language", () => {
  expect(managerOf("ID=ubuntu\nID_LIKE=debian\n")).toBe("apt");
  expect(managerOf('ID="rocky"\nID_LIKE="rhel centos fedora"\n')).toBe("dnf");
  expect(managerOf("ID=alpine\n")).toBe("apk");
  expect(installHint("ping", "apk")).toBe("install it with: sudo apk add iputils-ping");
  expect(installHint("mtr", "brew")).toBe("install it with: brew install mtr");
});

test("readable log lines", () => {
  const line = readableLine('{"level":40,"time":1763899200000,"why":"silence","n":3,"msg":"the connection is dead"}\n');
  expect(line).toBe("12:00:00 warn  the connection is dead why=silence n=3\n");
});

test("doctor knows what works and where the state can go", async () => {
  const state = join(scratch(), "not", "there", "yet");
  const { code, stdout } = await cli(["doctor", "--json", "--state", state, "--server", "http://127.0.0.1:1"]);
  const { checks } = JSON.parse(stdout) as { checks: { name: string; status: string; fix: string | null }[] };
  const by = new Map(checks.map((check) => [check.name, check]));
  expect(by.get("state directory")?.status).toBe("ok");
  expect(existsSync(state)).toBe(false);
  expect(by.get("server")).toMatchObject({ status: "problem" });
  expect(by.get("server")?.fix).not.toBeNull();
  for (const check of checks)
    if (check.status === "missing" && !check.name.startsWith("IPv")) expect(check.fix, check.name).toMatch(/install/);
  expect([1, 3]).toContain(code);
});

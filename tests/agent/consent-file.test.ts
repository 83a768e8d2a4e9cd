// The consent file as people write it: what is wrong with it is told by line, before the agent contacts anything.
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { readConsentFile } from "../../agent/consent-file.ts";
import { UsageError } from "../../agent/exit.ts";
import { cli, run, scratch } from "./helpers/cli.ts";

function file(content: string | Buffer): string {
  const path = join(scratch(), "consent.json");
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

/** What the reader says of the text, without the file's name. */
async function complaints(content: string | Buffer): Promise<string[]> {
  const path = file(content);
  const error: unknown = await readConsentFile(path).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(UsageError);
  return (error as UsageError).message.split("\n").map((line) => {
    expect(line.startsWith(`--consent ${path}: `)).toBe(true);
    return line.slice(`--consent ${path}: `.length);
  });
}

const WHOLE = `// What this host lets its server ask for.
{
  "types": ["ping", "http"], /* nothing else */
  "destinations": ["10.0.0.0/8", "fd00::/8", "192.0.2.7", "*.Bücher.example", "GW.LAN."],
  "forbidden_destinations": ["10.66.0.0/16"],
  "min_interval_s": 10,
  "max_packets_per_s": 50,
  "max_bytes_per_run": 10000000,
  "max_bytes_per_day": 1000000000,
  "reflector": false,
  "self_test": true, // a trailing comma is fine
}
`;

describe("a good file", () => {
  test.each([
    ["as it stands", WHOLE],
    ["with Windows' line ends and a byte order mark", `\ufeff${WHOLE.replaceAll("\n", "\r\n")}`],
  ])("is read %s", async (_how, text) => {
    expect(await readConsentFile(file(text))).toEqual({
      stamp: expect.any(String),
      consent: {
        types: ["ping", "http"],
        destinations: ["10.0.0.0/8", "fd00::/8", "192.0.2.7", "*.Bücher.example", "GW.LAN."],
        forbidden_destinations: ["10.66.0.0/16"],
        min_interval_s: 10,
        max_packets_per_s: 50,
        max_bytes_per_run: 10_000_000,
        max_bytes_per_day: 1_000_000_000,
        reflector: false,
        self_test: true,
      },
      warnings: [],
    });
  });

  test("that everybody may write is read, and its owner told", async () => {
    const path = file("{}");
    chmodSync(path, 0o666);
    const { consent, warnings } = await readConsentFile(path);
    expect(consent).toEqual({});
    expect(warnings).toEqual([expect.stringMatching(/every user of this host may change .*chmod o-w/)]);
  });
});

describe("a mistake is named with its line and with what is allowed", () => {
  test.each([
    ["", "line 1: is empty; write {} to allow everything"],
    ["// only a comment\n\n", "line 3: is empty; write {} to allow everything"],
    ["[]", /^line 1: is a list; a consent file is one object/],
    ["null", /^line 1: is null; a consent file is one object/],
    ["{\n nonsense", /^line 2: holds a word that is not JSON/],
    ['{\n"types": ["ping"}', /^line 2: lacks a comma or a closing bracket before this \(near '}'\)/],
    ['{\n"types": ["ping"]\n"reflector": true}', /^line 3: lacks a comma/],
    ['{\n\n"types": ["ping', /^line 3: holds text whose closing quote is missing/],
    ['{\n"types": ["ping"],\n', /^line \d: ends before its closing }/],
    ['{\n/* "types": ["ping"] }', /^line 2: ends inside a comment/],
    ["{} {}", /^line 1: goes on after its end/],
    [
      '{\n\n"destination": []}',
      /^line 3: destination is not a known setting \(did you mean destinations\?\); known are types, dest/,
    ],
    ['{\n"__proto__": {}}', /^line 2: __proto__ is not a known setting; known are /],
    ['{\n"types": "ping"}', /^line 2: types is text; it must be a list of test types \(ping, /],
    [
      '{\n"types": [\n"ping",\n"telepathy"]}',
      /^line 4: types\[1\] 'telepathy' is no test type; this agent knows ping, traceroute/,
    ],
    ['{"types": ["tracerout"]}', /^line 1: types\[0\] 'tracerout' is no test type \(did you mean traceroute\?\)/],
    ['{"types": [\n5]}', /^line 2: types\[0\] is a number; test types are words: ping/],
    [
      '{"destinations": [\n"10.0.0.0/8",\n"10.0.0.0/40"]}',
      /^line 3: destinations\[1\] '10.0.0.0\/40' has the prefix length '40'; an IPv4 block has 0 to 32; a rule is/,
    ],
    ['{"destinations": ["fd00::/129"]}', /^line 1: .* an IPv6 block has 0 to 128/],
    ['{"destinations": ["10.0.0.0/"]}', /has the prefix length ''/],
    ['{"destinations": ["10.0.0.0/08"]}', /has the prefix length '08'/],
    ['{"destinations": ["10.0.0.5/8"]}', /is an address inside the block and not its first one; write 10\.0\.0\.5 alone/],
    ['{"destinations": ["::ffff:10.0.0.0/104"]}', /write the IPv4 one/],
    ['{"destinations": ["0:0:0:0:0:ffff:a00:0/104"]}', /write the IPv4 one/],
    ['{"destinations": ["fe80::1%eth0"]}', /has a zone/],
    ['{"destinations": ["10.0.0.0/8/8"]}', /is no address block/],
    ['{"destinations": ["http://a.example/"]}', /is no address block/],
    ['{"destinations": ["a.*.example"]}', /characters that no host name has/],
    ['{"destinations": ["0x7f.1"]}', /looks like a mistyped IP address/],
    ['{"destinations": ["*.10.0.0.1"]}', /puts '\*\.' before an address/],
    ['{"destinations": [""]}', /is empty/],
    ['{"forbidden_destinations": [\n\nnull]}', /^line 3: forbidden_destinations\[0\] is null; a rule is text/],
    ['{\n"min_interval_s": "10"}', /^line 2: min_interval_s is text; it must be a number of seconds/],
    ['{"min_interval_s": -1}', /min_interval_s is -1; it must be a number of seconds from 0 to 86400/],
    ['{"max_packets_per_s": 0}', /it must be a number above 0/],
    ['{"max_bytes_per_day": 1.5}', /max_bytes_per_day is 1.5; it must be a whole number of bytes above 0/],
    ['{"max_bytes_per_run": 1e999}', /it must be a whole number of bytes/],
    ['{"reflector": "no"}', /reflector is text; it must be true or false/],
    ['{"self_test": 1}', /self_test is 1; it must be true or false/],
    ['{"types": ["ping"],\n"types": []}', /^line 2: types is given twice; one of the two would be ignored/],
    [Buffer.from([0x7b, 0xff, 0x7d]), "is not UTF-8 text"],
  ])("%j", async (content, message) => {
    expect(await complaints(content)).toEqual([typeof message === "string" ? message : expect.stringMatching(message)]);
  });

  test("all of them at once, in the file's order", async () => {
    const text = '{\n"typs": [],\n"destinations": ["10.0.0.0/33", "good.example", "-bad"],\n"reflector": 0\n}';
    const lines = await complaints(text);
    expect(lines.map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual([
      "line 2: typs",
      "line 3: destinations[0]",
      "line 3: destinations[2]",
      "line 4: reflector",
    ]);
    const many = await complaints(`{"destinations": [${'"-",'.repeat(100)}]}`);
    expect([many.length, many.at(-1)]).toEqual([21, "and 80 more"]);
  });

  test("a directory, a missing file, something that is no file", async () => {
    const dir = join(scratch(), "dir");
    mkdirSync(dir);
    await expect(readConsentFile(dir)).rejects.toThrow(`--consent ${dir}: is a directory`);
    await expect(readConsentFile(join(dir, "none"))).rejects.toThrow(/there is no such file/);
    await expect(readConsentFile("/dev/null")).rejects.toThrow(/is not a regular file/);
  });

  test("a file this user may not read", async () => {
    const path = file("{}");
    chmodSync(path, 0o000);
    const reader = fileURLToPath(new URL("../../agent/consent-file.ts", import.meta.url));
    // Root may read every file, so it stops being root first.
    const script = `const { readConsentFile } = await import(${JSON.stringify(reader)});
      if (process.getuid() === 0) process.seteuid(65534);
      await readConsentFile(${JSON.stringify(path)}).catch((error) => console.log(error.message));`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script]);
    expect(stdout).toBe(`--consent ${path}: may not be read by the user this agent runs as\n`);
  });

  test("too much of anything", async () => {
    expect(await complaints(`{"destinations": [${'"10.0.0.1",'.repeat(501)}]}`)).toEqual([
      "line 1: destinations has 501 entries: it must have at most 500 entries",
    ]);
    expect(await complaints("[".repeat(200_000))).toEqual([expect.stringMatching(/is nested too deeply/)]);
    expect(await complaints(" ".repeat(1024 * 1024 + 1))).toEqual(["has 1048577 bytes; a consent file has at most 1048576"]);
  });
});

test("the agent ends with 2 and has contacted nobody, and left no state", async () => {
  let contacts = 0;
  const server = createServer((socket) => {
    contacts += 1;
    socket.destroy();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
  });
  const state = join(scratch(), "state");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const path = file('{\n  "types": ["ping"],\n  "destinations": ["10.0.0.0/40"],\n  "reflektor": false\n}');
  const args = ["run", "--server", url, "--token", "enrol", "--state", state, "--consent", path];
  const { code, stdout, stderr } = await cli(args);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toContain(`--consent ${path}: line 3: destinations[0] '10.0.0.0/40' has the prefix length '40'`);
  expect(stderr).toContain(`--consent ${path}: line 4: reflektor is not a known setting (did you mean reflector?)`);
  expect([contacts, existsSync(state)]).toEqual([0, false]);
});

// Names to addresses: what may be measured, how long it may take, and that nobody waits for somebody else's dead name.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { checkHost } from "#contract/destination";
import { resolveHost, systemLookup } from "../../agent/resolve.ts";
import { run, scratch } from "./helpers/cli.ts";
import type { Step, Told } from "./helpers/resolve-scene.ts";

test("literals are themselves", async () => {
  expect(await resolveHost("192.0.2.1")).toMatchObject({
    ok: true,
    address: "192.0.2.1",
    family: 4,
    via: "literal",
    resolve_ms: 0,
  });
  expect(await resolveHost("2001:db8::1")).toMatchObject({ ok: true, address: "2001:db8::1", family: 6, via: "literal" });
});

test("localhost has both families, IPv4 first where none is asked for", async () => {
  expect(await resolveHost("localhost")).toMatchObject({ ok: true, address: "127.0.0.1", via: "hosts" });
  expect(await resolveHost("localhost", 6)).toMatchObject({ ok: true, address: "::1", family: 6 });
});

test("a signal that has aborted already costs nothing", async () => {
  const start = performance.now();
  expect(await resolveHost("gone.example", undefined, AbortSignal.abort())).toMatchObject({ ok: false, code: "dns_timeout" });
  expect(await systemLookup("gone.example", 4, AbortSignal.abort())).toBeUndefined();
  expect(performance.now() - start).toBeLessThan(50);
});

test("every spelling of the cloud's metadata addresses is refused as a destination", () => {
  for (const spelling of [
    "169.254.169.254",
    "fd00:ec2::254",
    "FD00:0EC2:0:0:0:0:0:254",
    "::ffff:169.254.169.254",
    "0:0:0:0:0:ffff:a9fe:a9fe",
  ]) {
    expect(checkHost(spelling).ok, spelling).toBe(false);
  }
  for (const fine of ["169.254.169.253", "fd00:ec2::253", "fe80::1%eth0", "2001:db8::ffff:1"])
    expect(checkHost(fine).ok, fine).toBe(true);
});

const SCENE = fileURLToPath(new URL("./helpers/resolve-scene.ts", import.meta.url));
const INSIDE = `ip link set lo up && mount --bind "$0/resolv.conf" /etc/resolv.conf && mount --bind "$0/hosts" /etc/hosts && exec "$@"`;

/** The scene in namespaces of its own, with this zone, this hosts file and these steps. */
async function scene(zones: Record<string, unknown>, steps: Step[], hosts = ""): Promise<Told[]> {
  const dir = scratch();
  writeFileSync(join(dir, "resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
  writeFileSync(join(dir, "hosts"), hosts);
  const order = JSON.stringify([zones, steps]);
  const { code, stdout, stderr } = await run("unshare", ["-n", "-m", "sh", "-c", INSIDE, dir, process.execPath, SCENE, order]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Told[];
}

const canIsolate =
  process.platform === "linux" &&
  (await run("unshare", ["-n", "-m", "sh", "-c", "ip link set lo up && mount --bind /etc/hosts /etc/hosts"])).code === 0;

describe.skipIf(!canIsolate)("with a resolver of our own (needs root: network and mount namespaces)", () => {
  test("a name cannot smuggle in what no destination may be", async () => {
    const bad = { broadcast: "255.255.255.255", multicast: "224.0.0.251", unspecified: "0.0.0.0", metadata: "169.254.169.254" };
    const zones: Record<string, unknown> = {
      "metadata6.test": { AAAA: ["fd00:ec2::254"] },
      "mapped.test": { AAAA: ["::ffff:169.254.169.254"] },
      "mixed.test": { A: ["169.254.169.254", "192.0.2.1"] },
      "loop.test": { A: ["127.0.0.1"] },
    };
    for (const [name, address] of Object.entries(bad)) zones[`${name}.test`] = { A: [address] };
    const refused = [...Object.keys(bad).map((name) => `${name}.test`), "metadata6.test", "mapped.test", "byhosts.test"];
    const steps = refused.map((name): Step => ({ resolve: "host", name }));
    const told = await scene(
      zones,
      [...steps, { resolve: "host", name: "mixed.test" }, { resolve: "host", name: "loop.test" }],
      "169.254.169.254 byhosts.test\n",
    );
    told.slice(0, steps.length).forEach(({ result }, i) => {
      expect(result, steps[i]?.name).toMatchObject({ ok: false, code: "unsupported" });
      expect(JSON.stringify(result)).toContain(steps[i]?.name);
    });
    const [mixed, loop] = told.slice(steps.length);
    expect(mixed?.result).toMatchObject({ ok: true, address: "192.0.2.1" });
    expect(loop?.result).toMatchObject({ ok: true, address: "127.0.0.1" });
  });

  test("the address of a name, and why there is none", async () => {
    const zones = {
      "both.test": { A: ["192.0.2.1", "192.0.2.2"], AAAA: ["2001:db8::1"] },
      "six.test": { AAAA: ["2001:db8::6"] },
      "empty.test": {},
      "late.test": { A: ["192.0.2.3"], AAAA: ["2001:db8::3"], delay: { AAAA: 400 } },
    };
    const [both, bothAs6, six, sixAs4, empty, missing, late] = await scene(zones, [
      { resolve: "host", name: "both.test" },
      { resolve: "host", name: "both.test", family: 6 },
      { resolve: "host", name: "six.test" },
      { resolve: "host", name: "six.test", family: 4 },
      { resolve: "host", name: "empty.test" },
      { resolve: "host", name: "missing.test" },
      { resolve: "host", name: "late.test" },
    ]);
    expect(both?.result).toMatchObject({ ok: true, address: "192.0.2.1", family: 4, via: "dns" });
    expect(bothAs6?.result).toMatchObject({ ok: true, address: "2001:db8::1", family: 6 });
    expect(six?.result).toMatchObject({ ok: true, address: "2001:db8::6", family: 6 });
    expect(sixAs4?.result).toMatchObject({ ok: false, code: "no_address" });
    expect(empty?.result).toMatchObject({ ok: false, code: "no_address" });
    expect(missing?.result).toMatchObject({ ok: false, code: "dns_not_found" });
    // Nobody waits for the family that is not wanted.
    expect(late?.result).toMatchObject({ ok: true, address: "192.0.2.3" });
    expect(late?.took_ms).toBeLessThan(300);
  });

  test("a shorter deadline is kept, for names DNS holds and for those only the system may know", async () => {
    const limits = [30, 150, 400];
    const steps = limits.flatMap((limit_ms): Step[] => [
      { resolve: "host", name: "dead.test", limit_ms },
      { resolve: "host", name: "single", limit_ms },
    ]);
    // The first run of a process loads what it needs; it is not what is timed.
    const [first, ...told] = await scene({ "dead.test": null, single: null, "warm.test": {} }, [
      { resolve: "host", name: "warm.test" },
      ...steps,
    ]);
    expect(first?.result).toMatchObject({ ok: false, code: "no_address" });
    told.forEach(({ result, took_ms }, i) => {
      const limit = steps[i]?.limit_ms ?? 0;
      expect(result, steps[i]?.name).toMatchObject({ ok: false, code: "dns_timeout" });
      expect(took_ms).toBeGreaterThan(limit - 5);
      expect(took_ms, `${steps[i]?.name} in ${limit} ms`).toBeLessThan(limit + 40);
    });
  });

  test("a dead name ends within its two seconds, and delays nobody else", async () => {
    const dead = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`dead${i}.test`, null]));
    const [alone, beside, gone] = await scene({ ...dead, "live.test": { A: ["192.0.2.1"] } }, [
      { resolve: "host", name: "live.test" },
      { resolve: "beside", name: "live.test" },
      { resolve: "host", name: "dead0.test" },
    ]);
    expect(alone?.result).toMatchObject({ ok: true, address: "192.0.2.1" });
    expect(beside?.result).toEqual({ status: "ok", resolver: "127.0.0.1" });
    expect(beside?.took_ms).toBeLessThan(500);
    expect(gone?.result).toMatchObject({ ok: false, code: "dns_timeout" });
    expect(gone?.took_ms).toBeLessThan(2200);
  });
});

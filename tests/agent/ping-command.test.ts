import { describe, expect, test } from "vitest";
import { linuxPingCommand, pingLinux, readPingVersion } from "../../agent/probes/ping-linux.ts";
import { macosPingCommand } from "../../agent/probes/ping-macos.ts";
import type { PingRequest, PingTool } from "../../agent/probes/ping-tool.ts";
import { windowsPingCommand, windowsPingScript } from "../../agent/probes/ping-windows.ts";

const request: PingRequest = { address: "10.77.100.1", count: 20, interval: 0.2, timeout: 2, packet_size: 64 };
const tool = (dialect: PingTool["dialect"], version: string): PingTool => ({ dialect, file: "/bin/ping", version });
const args = (command: ReturnType<typeof linuxPingCommand>): string =>
  "args" in command ? command.args.join(" ") : command.unsupported;

describe("Linux", () => {
  test("iputils, plain and with everything", () => {
    const iputils = tool("iputils", "iputils 20221126");
    expect(args(linuxPingCommand(iputils, request))).toBe("-n -c 20 -i 0.2 -W 2 -s 64 -O -- 10.77.100.1");
    const full = { ...request, address: "fd77::1", timeout: 0.5, dscp: 46, df: true };
    expect(args(linuxPingCommand(iputils, full))).toBe("-n -c 20 -i 0.2 -W 0.5 -s 64 -Q 184 -M do -O -- fd77::1");
  });
  test("iputils prints microseconds since 20240905; before, it is asked for them", () => {
    const recent = tool("iputils", "iputils 20240905");
    expect(args(linuxPingCommand(recent, request))).toBe("-n -c 20 -i 0.2 -W 2 -s 64 -3 -O -- 10.77.100.1");
    expect(pingLinux.snapshotSignal?.(recent)).toBeUndefined();
    expect(pingLinux.snapshotSignal?.(tool("iputils", "iputils 20221126"))).toBe("SIGQUIT");
  });
  test.each(["busybox", "inetutils", "fping"] as const)("%s, which SIGQUIT would end, is asked for nothing", (dialect) => {
    expect(pingLinux.snapshotSignal?.(tool(dialect, "1.35.0"))).toBeUndefined();
    expect(pingLinux.snapshotSignal?.(tool("iputils", "unknown"))).toBeUndefined();
  });
  test("fping counts milliseconds", () => {
    const full = { ...request, dscp: 46, df: true, timeout: 0.5 };
    expect(args(linuxPingCommand(tool("fping", "fping 5.2"), full))).toBe("-C 20 -p 200 -t 500 -b 64 -O 184 -M -- 10.77.100.1");
  });
  test("an old iputils waits whole seconds", () => {
    expect(args(linuxPingCommand(tool("iputils", "iputils 20180629"), { ...request, timeout: 0.5 }))).toContain("-W 1 ");
  });
  test("BusyBox refuses what it cannot do rather than leaving it out", () => {
    const busybox = tool("busybox", "BusyBox 1.35.0");
    expect(args(linuxPingCommand(busybox, request))).toBe("-c 20 -i 0.2 -W 2 -s 64 -- 10.77.100.1");
    expect(args(linuxPingCommand(busybox, { ...request, df: true }))).toMatch(/cannot forbid fragmentation/);
    expect(args(linuxPingCommand(busybox, { ...request, dscp: 0 }))).toMatch(/cannot set a DSCP/);
  });
  test.each([
    ["ping from iputils 20221126\nlibcap: yes", "iputils", "iputils 20221126"],
    ["ping utility, iputils-s20180629", "iputils", "iputils 20180629"],
    ["ping: invalid option -- 'V'\nBusyBox v1.35.0 (Debian)", "busybox", "BusyBox 1.35.0"],
    ["ping (GNU inetutils) 2.4", "inetutils", "inetutils 2.4"],
    ["fping: Version 5.2", "fping", "fping 5.2"],
  ])("version text %#", (text, dialect, version) => {
    expect(readPingVersion("/bin/ping", text)).toEqual({ dialect, file: "/bin/ping", version });
  });
});

test("macOS: the time-out is milliseconds, DF is -D, TOS is -z; IPv6 has its own program", () => {
  const mac = tool("macos", "macOS ping");
  expect(args(macosPingCommand(mac, { ...request, dscp: 46, df: true }))).toBe(
    "-n -c 20 -i 0.2 -s 64 -W 2000 -z 184 -D -- 10.77.100.1",
  );
  expect(macosPingCommand(mac, { ...request, address: "fd77::1" })).toMatchObject({ file: "/bin/ping6" });
});

test("Windows: the script goes as base64 and holds only numbers and the literal", () => {
  const command = windowsPingCommand(tool("windows", ".NET Ping"), request);
  const script = "args" in command ? Buffer.from(command.args.at(-1) ?? "", "base64").toString("utf16le") : "";
  expect(script).toBe(windowsPingScript(request));
  expect(script).toContain("[Net.IPAddress]::Parse('10.77.100.1')");
  expect(script).toContain("SendPingAsync($a,2000,$b,$o)");
  expect(windowsPingCommand(tool("windows", ".NET Ping"), { ...request, dscp: 46 })).toHaveProperty("unsupported");
});

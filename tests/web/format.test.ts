import { expect, test } from "vitest";
import { flagTone, formatDuration, formatNumber, formatPercent, formatText, reasonText, sentence } from "../../web/format.ts";
import { enrolCommand, isLoopback, shellQuote } from "../../web/shell.ts";
import { tagsFromText, tagsText } from "../../web/tags.ts";
import { agoText } from "../../web/time.ts";

test.each([
  [0, "0"],
  [0.0432, "0.043"],
  [0.00004, "0.00004"],
  [9.307, "9.31"],
  [62.04, "62"],
  [118.4, "118"],
  [12_345, "12,345"],
])("%s is shown as %s", (value, text) => expect(formatNumber(value)).toBe(text));

test("a rare loss never looks like none", () => {
  expect(formatPercent(0)).toBe("0");
  expect(formatPercent(0.0123)).toBe("0.012");
  expect(formatPercent(4.84)).toBe("4.8");
  expect(formatPercent(100)).toBe("100");
});

test.each([
  ["ping_rtt_median", 0.216, "0.216 ms"],
  ["memory_total", 16 * 1024 ** 3, "16 GiB"],
  ["if_mtu", 1400, "1,400 B"],
  ["if_rx_bytes_sec", 2_200_000, "2.2 MB/s"],
  ["uptime_s", 93_784, "1 d 2 h"],
  ["ping_sent", 20, "20"],
  ["disk_read_iops", 43, "43 /s"],
  ["ping_method", "icmp", "icmp"],
  ["ping_rtt_p95", null, "–"],
  ["ping_rtt_p95", undefined, "–"],
  ["ping_rtt_p95", Number.NaN, "–"],
  ["ping_rtt_p95", 1e308, "1.00e+308 ms"],
  ["cert_days_left", 1, "1 day"],
  ["cert_days_left", -3, "-3 days"],
  ["tcp_delivery_rate_bps", 94_200_000, "94.2 Mbit/s"],
  ["tcp_port", 8443, "8443"],
  ["http_status", 404, "404"],
  ["tls_authorized", false, "no"],
  ["cert_not_after", "2026-12-05T11:59:59Z", "5 Dec 2026, 12:59"],
  ["cert_not_after", "2026-99-99T99:99:99Z", "2026-99-99T99:99:99Z"],
])("%s %s reads %s", (name, value, text) => expect(formatText(name, value)).toBe(text));

test("a flag warns only of what is not well", () => {
  expect([flagTone("tls_authorized", false), flagTone("tls_authorized", true)]).toEqual(["bad", null]);
  expect([flagTone("pmtu_blackhole", true), flagTone("path_changed", true)]).toEqual(["bad", "warn"]);
  expect([flagTone("tcp_ecn", false), flagTone("tls_authorized", null), flagTone("constructor", true)]).toEqual([
    null,
    null,
    null,
  ]);
});

test("a message becomes a sentence", () => {
  expect(sentence("no reply")).toBe("No reply.");
  expect(sentence("Is it there?")).toBe("Is it there?");
});

test("durations keep two parts", () => {
  expect(formatDuration(0)).toBe("0 s");
  expect(formatDuration(3600)).toBe("1 h");
  expect(formatDuration(725)).toBe("12 min 5 s");
});

test("a reason is always a sentence", () => {
  expect(reasonText("too_few_samples")).toContain("too few samples");
  expect(reasonText("a code of tomorrow")).toContain("Not known");
  expect(reasonText(undefined)).toContain("Not known");
});

test.each([
  ["plain-1.2_x", "plain-1.2_x"],
  ["http://10.0.0.1:8787", "http://10.0.0.1:8787"],
  ["São Paulo", "'São Paulo'"],
  ["it's; rm -rf $HOME", "'it'\\''s; rm -rf $HOME'"],
  ["", "''"],
])("%s is quoted as %s", (word, quoted) => expect(shellQuote(word)).toBe(quoted));

test("the enrolment command names only what was given", () => {
  const options = { server: "https://net.example", token: "sse_1" };
  expect(enrolCommand(options)).toBe("npm run agent -- run --server https://net.example --token sse_1");
  expect(enrolCommand({ ...options, site: "New York", name: "" })).toBe(
    "npm run agent -- run --server https://net.example --token sse_1 --site 'New York'",
  );
});

test("loopback names", () => {
  expect(["localhost", "127.0.0.1", "[::1]", "a.localhost"].every(isLoopback)).toBe(true);
  expect(["10.0.0.1", "net.example", "localhost.example"].some(isLoopback)).toBe(false);
});

test("tags are read as they are written", () => {
  expect(tagsFromText("role=gateway, floor=2 ,spare,,")).toEqual({ role: "gateway", floor: "2", spare: "" });
  expect(tagsText({ role: "gateway", spare: "" })).toBe("role=gateway, spare");
  expect(tagsFromText("__proto__=1")).not.toHaveProperty("x");
});

test.each([
  [3000, "now"],
  [45_000, "45 s ago"],
  [14 * 60_000, "14 min ago"],
  [3 * 3_600_000, "3 h ago"],
  [5 * 86_400_000, "5 d ago"],
  [-60_000, "now"],
])("%s ms ago reads %s", (age, text) => expect(agoText(1_000_000_000_000 - age, 1_000_000_000_000)).toBe(text));

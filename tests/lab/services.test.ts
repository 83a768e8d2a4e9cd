// Bars 10 and 11: DNS outcomes and times, certificates and handshakes, the phases of a web request.

import type { Family, Lab } from "./harness/lab.ts";
import { labTest, report } from "./harness/lab-test.ts";
import { number, type Options, probe, type Result } from "./harness/ours.ts";
import { TARGET } from "./harness/ping-rows.ts";
import { atBest, bound, inTurn, type Row, Sheet, together } from "./harness/rows.ts";

const RTT = 20;
const SHAPE = ["l2", `delay=${RTT / 2}ms`];
/** A router: it has no DNS server and says so. */
const ROUTER: Readonly<Record<Family, string>> = { 4: "10.77.1.1", 6: "fd77:1::1" };
/** An address beyond the last router that nobody has. */
const NOBODY: Readonly<Record<Family, string>> = { 4: "10.77.3.99", 6: "fd77:3::99" };

const OUTCOMES: readonly { name: string; outcome: string; options?: Options; resolver?: typeof TARGET }[] = [
  { name: "target.lab", outcome: "NOERROR" },
  { name: "v4only.lab", outcome: "NODATA", options: { "record-type": "AAAA" } },
  { name: "nowhere.lab", outcome: "NXDOMAIN" },
  { name: "servfail.lab", outcome: "SERVFAIL" },
  { name: "refused.lab", outcome: "REFUSED" },
  { name: "timeout.lab", outcome: "TIMEOUT", options: { timeout: 1 } },
  { name: "target.lab", outcome: "UNREACHABLE", resolver: ROUTER },
];

async function outcomeRows(lab: Lab, family: Family): Promise<Row[]> {
  const asked = OUTCOMES.map(async ({ name, outcome, options, resolver }) => {
    const result = await probe(lab, "dns", name, { resolver: (resolver ?? TARGET)[family], ...options });
    const sheet = new Sheet({ bar: "10", setting: `DNS ${name}`, family });
    sheet.equal("outcome", outcome, result.metrics.dns_rcode);
    return sheet.rows;
  });
  return (await Promise.all(asked)).flat();
}

labTest("DNS: seven outcomes told apart", async (lab) => {
  await lab.shape(...SHAPE);
  report(await together((family) => outcomeRows(lab, family)));
});

/** Round trips of a query: one over UDP; TCP needs one more for its handshake, which is a figure of its own. */
const QUERIES: readonly { name: string; wait: number; transport: string }[] = [
  { name: "target.lab", wait: 0, transport: "udp" },
  { name: "slow50.lab", wait: 50, transport: "udp" },
  { name: "slow100.lab", wait: 100, transport: "udp" },
  { name: "target.lab", wait: 0, transport: "tcp" },
];

async function queryRows(lab: Lab, family: Family): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { name, wait, transport } of QUERIES) {
    const result = await probe(lab, "dns", name, { resolver: TARGET[family], transport });
    const sheet = new Sheet({ bar: "10", setting: `DNS ${name}, ${transport}`, family });
    sheet.near("query ms", RTT + wait, number(result, "dns_query_ms"), 5);
    rows.push(...sheet.rows);
  }
  return rows;
}

labTest("DNS: query times", async (lab) => {
  await lab.shape(...SHAPE);
  report(await atBest(() => inTurn((family) => queryRows(lab, family))));
});

interface Answered {
  server: string;
  query_ms: number | null;
}

labTest("DNS: a dead resolver holds nobody up", async (lab) => {
  await lab.shape(...SHAPE);
  report(
    await atBest(() =>
      inTurn(async (family) => {
        const resolver = `${NOBODY[family]},${TARGET[family]}`;
        const result = await probe(lab, "dns", "target.lab", { resolver, timeout: 1 });
        const good = ((result.detail.resolvers ?? []) as Answered[]).find((one) => one.server?.includes(TARGET[family]));
        const sheet = new Sheet({ bar: "10", setting: "a dead resolver and a live one", family });
        sheet.near("query ms of the live one", RTT, good?.query_ms ?? null, 50);
        return sheet.rows;
      }),
    ),
  );
});

const NAME = "target.lab";
const CERTIFICATES: readonly { name: string; port: number; error: RegExp; trusted: boolean }[] = [
  { name: "expired", port: 8443, error: /CERT_HAS_EXPIRED/, trusted: true },
  { name: "wrong host", port: 9443, error: /ERR_TLS_CERT_ALTNAME_INVALID/, trusted: true },
  { name: "self-signed", port: 11443, error: /DEPTH_ZERO_SELF_SIGNED_CERT/, trusted: true },
  { name: "unknown authority", port: 443, error: /UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT/, trusted: false },
];

const tls = (lab: Lab, family: Family, port: number, trusted = true): Promise<Result> =>
  probe(lab, "tls", NAME, { port, "ip-version": family, ...(trusted ? { ca: lab.ca } : {}) });

labTest("TLS: four bad certificates", async (lab) => {
  await lab.shape(...SHAPE);
  report(
    await together(async (family) => {
      const rows = CERTIFICATES.map(async ({ name, port, error, trusted }) => {
        const { metrics } = await tls(lab, family, port, trusted);
        const sheet = new Sheet({ bar: "11", setting: `certificate: ${name}`, family });
        sheet.equal("authorized", false, metrics.tls_authorized);
        sheet.judge("error", bound(error.source), metrics.tls_error, error.test(String(metrics.tls_error)));
        return sheet.rows;
      });
      return (await Promise.all(rows)).flat();
    }),
  );
});

async function handshakeRows(lab: Lab, family: Family): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { port, version, trips } of [
    { port: 443, version: "TLSv1.3", trips: 1 },
    { port: 10443, version: "TLSv1.2", trips: 2 },
  ]) {
    const result = await tls(lab, family, port);
    const sheet = new Sheet({ bar: "11", setting: version, family });
    sheet.equal("version", version, result.metrics.tls_version);
    sheet.equal("authorized", true, result.metrics.tls_authorized);
    sheet.near("handshake ms", RTT * trips, number(result, "tls_handshake_ms"), 8);
    const days = number(result, "cert_days_left");
    sheet.judge("days left", bound("29 or 30"), days, days !== null && days >= 29 && days <= 30);
    rows.push(...sheet.rows);
  }
  return rows;
}

labTest("TLS: handshakes of one and two round trips", async (lab) => {
  await lab.shape(...SHAPE);
  report(await atBest(() => inTurn((family) => handshakeRows(lab, family))));
});

const urlOf = (family: Family, path: string): string => `http://${family === 6 ? `[${TARGET[6]}]` : TARGET[4]}${path}`;

async function httpRows(lab: Lab, family: Family): Promise<Row[]> {
  const get = (path: string) => probe(lab, "http", urlOf(family, path));
  const delayed = await get("/delay/100");
  const slowBody = await get("/body-delay/100");
  const zipped = await get("/gzip/20000");
  const moved = await get("/redirect/2");
  const failing = await get("/status/503");
  const sheet = new Sheet({ bar: "11", setting: "HTTP", family });
  sheet.near("TCP ms", RTT, number(delayed, "http_tcp_ms"), 8);
  sheet.near("first byte ms, /delay/100", RTT + 100, number(delayed, "http_ttfb_ms"), 8);
  sheet.equal("second request reuses", true, delayed.metrics.http_reused);
  sheet.near("first byte ms, /body-delay/100", RTT, number(slowBody, "http_ttfb_ms"), 8);
  sheet.near("download ms, /body-delay/100", 100, number(slowBody, "http_download_ms"), 8);
  sheet.equal("bytes received, /gzip/20000", 140, number(zipped, "http_bytes_wire"));
  sheet.equal("bytes decoded, /gzip/20000", 20_000, number(zipped, "http_bytes_decoded"));
  sheet.equal("redirects followed", 2, number(moved, "http_redirects"));
  sheet.equal("status, /status/503", 503, number(failing, "http_status"));
  return sheet.rows;
}

labTest("HTTP: phases, bytes, reuse", async (lab) => {
  await lab.shape(...SHAPE);
  report(await atBest(() => inTurn((family) => httpRows(lab, family))));
});

labTest("HTTP: over TLS", async (lab) => {
  await lab.shape(...SHAPE);
  report(
    await atBest(() =>
      inTurn(async (family) => {
        const result = await probe(lab, "http", `https://${NAME}/delay/100`, { ca: lab.ca, "ip-version": family });
        const sheet = new Sheet({ bar: "11", setting: "HTTPS", family });
        sheet.equal("status", 200, number(result, "http_status"));
        sheet.near("TLS ms", RTT, number(result, "http_tls_ms"), 8);
        sheet.near("first byte ms, /delay/100", RTT + 100, number(result, "http_ttfb_ms"), 8);
        return sheet.rows;
      }),
    ),
  );
});

// Counts what one agent-day costs and how fast the Worker takes results and answers reads. Prints one line of JSON that
// `npm run bench` picks up. Counts are exact; times are of this machine and are never a pass or a fail.

import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { asAdmin, connect, hostSample, pingResult, register, registration } from "../worker/edge.ts";

const { DB, CLIENT } = env as unknown as { DB: D1Database; CLIENT: DurableObjectNamespace };

const UPLOADS_A_DAY = 288;
const RESULTS_A_MINUTE = 6;
const MINUTES_AN_UPLOAD = 5;
const HEARTBEATS_A_DAY = 2880;
/** Looked for half-open sockets every 5 minutes: one alarm each. */
const ALARMS_A_DAY = 288;

/** Rows changed in an object's database since it was opened: SQLite's own counter, alarms and keys included. */
function rowsOf(clientId: string): Promise<number> {
  return runInDurableObject(
    CLIENT.getByName(clientId),
    (_, state) => state.storage.sql.exec<{ n: number }>("SELECT total_changes() AS n").one().n,
  );
}

/** Resolves when the connection's alarm is set: the last thing that a greeting writes. */
async function settled(clientId: string): Promise<void> {
  for (;;) {
    const alarm = await runInDurableObject(CLIENT.getByName(clientId), (_, state) => state.storage.getAlarm());
    if (alarm !== null) return;
  }
}

/** Rows of every table of D1, to see that none came or changed. */
async function d1Rows(): Promise<string> {
  const tables = ["client", "test", "test_client", "user", "session", "api_token", "system_config", "audit_log"];
  const all = await DB.batch(tables.map((table) => DB.prepare(`SELECT * FROM ${table}`)));
  return JSON.stringify(all.map((one) => one.results));
}

function batch(from: number, at: number) {
  const count = RESULTS_A_MINUTE * MINUTES_AN_UPLOAD;
  const rtts = Array.from({ length: 20 }, (_, index) => 20 + ((from * 7 + index * 13) % 40) / 10);
  const results = Array.from({ length: count }, (_, index) =>
    pingResult(from + index, {
      started_at: at + index * 10_000,
      detail: { rtts },
      test_id: `test-${index % 6}`,
      metrics: {
        ping_sent: 20,
        ping_received: 20,
        ping_loss_pct: 0,
        ping_rtt_min: 20,
        ping_rtt_median: 21.9,
        ping_rtt_p95: 23.7,
        ping_rtt_max: 23.9,
        ping_rtt_mean: 21.9,
        ping_jitter_rfc3550: 0.4,
      },
    }),
  );
  const hosts = Array.from({ length: MINUTES_AN_UPLOAD }, (_, index) =>
    hostSample(from + count + index, { started_at: at + index * 60_000 }),
  );
  return { boot: "bench", from, to: from + count + hosts.length - 1, results, hosts };
}

async function gzip(text: string): Promise<Uint8Array> {
  return new Uint8Array(await new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer());
}

const percentile = (values: number[], p: number) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))] ?? null;

async function timed(times: number, call: () => Promise<unknown>) {
  const taken: number[] = [];
  for (let index = 0; index < times; index++) {
    const start = performance.now();
    await call();
    taken.push(performance.now() - start);
  }
  return { p50_ms: percentile(taken, 0.5), p95_ms: percentile(taken, 0.95) };
}

it("counts an agent-day and times ingest and reads", async () => {
  const admin = await asAdmin();
  const { client_id, token } = await register();
  // Greets as it registered: an agent that says something new of itself costs a row once, when it was upgraded.
  const { socket } = await connect(token, crypto.randomUUID(), { capabilities: registration().capabilities });
  const day = Date.now() - 86_400_000;
  let next = 1;
  let frameBytes = 0;
  const one = async (index: number) => {
    const body = batch(next, day + index * MINUTES_AN_UPLOAD * 60_000);
    const text = JSON.stringify({ type: "upload", ...body });
    frameBytes += text.length;
    socket.send(text);
    expect(await socket.next("ack")).toEqual({ type: "ack", to: body.to });
    next = body.to + 1;
  };
  await one(0);
  // The greeting's own rows (status, alarm) are written after the welcome: they belong to connecting, not to an upload.
  await settled(client_id);

  const [rows, d1] = [await rowsOf(client_id), await d1Rows()];
  const start = performance.now();
  for (let index = 1; index <= 50; index++) await one(index);
  const seconds = (performance.now() - start) / 1000;
  const rowsPerUpload = ((await rowsOf(client_id)) - rows) / 50;
  expect(await d1Rows()).toBe(d1);

  const beat = await rowsOf(client_id);
  for (let index = 0; index < 20; index++) {
    socket.send("ping");
    await socket.next("pong");
  }
  const rowsPerHeartbeat = ((await rowsOf(client_id)) - beat) / 20;
  for (let index = 51; index < UPLOADS_A_DAY; index++) await one(index);

  // Without an agent to wait for, reads show what reading takes.
  socket.close(1000, "stopped");
  await socket.closed;
  const results = 50 * RESULTS_A_MINUTE * MINUTES_AN_UPLOAD;
  const packed = (await gzip(JSON.stringify(batch(1, day)))).byteLength;
  const from = new Date(day).toISOString();
  const reads = {
    series_24h: await timed(20, () =>
      admin.get(`/api/v1/series?client_id=${client_id}&test_id=test-1&metric=ping_rtt_median&from=${from}`),
    ),
    results_100: await timed(20, () => admin.get(`/api/v1/results?client_id=${client_id}&limit=100`)),
  };
  const report = {
    do_rows_written: rowsPerUpload * UPLOADS_A_DAY + rowsPerHeartbeat * HEARTBEATS_A_DAY + ALARMS_A_DAY,
    // Compared table by table above: nothing came, nothing changed.
    d1_rows_written: 0,
    rows_per_upload: rowsPerUpload,
    rows_per_heartbeat: rowsPerHeartbeat,
    // The socket stays open: a day without a reconnect asks the Worker for nothing.
    worker_requests: 0,
    do_requests: (UPLOADS_A_DAY + HEARTBEATS_A_DAY) / 20 + ALARMS_A_DAY,
    bytes_per_agent_day: frameBytes,
    bytes_per_agent_day_https_gzip: packed * UPLOADS_A_DAY,
    ingest: { results_per_s: Math.round(results / seconds), ms_per_result: Number(((seconds * 1000) / results).toFixed(3)) },
    reads,
  };
  console.log(`BENCH ${JSON.stringify(report)}`);
});

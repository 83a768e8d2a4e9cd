// The streaming route for bandwidth tests: who may use it, that it counts right, and that it neither buffers nor runs up cost.
import { describe, expect, test } from "vitest";
import { TRANSFER_BYTES } from "../../worker/routes/speed.ts";
import { Asker, agentOf, fetchEdge, problemOf, register } from "./edge.ts";

const DOWN = "/api/agent/v1/speed/__down";
const UP = "/api/agent/v1/speed/__up";

interface Count {
  t_ms: number;
  bytes: number;
  done?: boolean;
  cut?: string;
}
const countsIn = (text: string): Count[] =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Count);

/** The type is no text to the runtime, which would warn. */
const textOf = async (response: Response): Promise<string> => new TextDecoder().decode(await response.arrayBuffer());

/** A body that tells how much of it was asked for. */
function pulled(total: number, piece = 65_536) {
  const state = { given: 0, cancelled: false };
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const size = Math.min(piece, total - state.given);
      state.given += size;
      if (size > 0) controller.enqueue(new Uint8Array(size));
      if (state.given === total) controller.close();
    },
    cancel() {
      state.cancelled = true;
    },
  });
  return { state, stream };
}

describe("who may", () => {
  test.each([
    ["GET", `${DOWN}?bytes=10`],
    ["POST", UP],
  ])("%s %s: nobody without a client's token", async (method, path) => {
    expect((await fetchEdge(path, { method })).status).toBe(401);
    const wrong = await new Asker({ authorization: `Bearer ssa_${"a".repeat(16)}_1_${"A".repeat(43)}` }).send(method, path);
    expect((await problemOf(wrong)).code).toBe("bad_token");
  });

  test("a token that was followed by a newer one ends at once", async () => {
    const first = await register({ install_id: "install-of-speed" });
    const renewed = await register({ install_id: "install-of-speed", proof: first.token });
    expect(renewed.client_id).toBe(first.client_id);
    expect((await problemOf(await agentOf(first).send("GET", `${DOWN}?bytes=10`))).code).toBe("token_revoked");
    expect((await agentOf(renewed).send("GET", `${DOWN}?bytes=10`)).status).toBe(200);
  });
});

describe("down", () => {
  test("exactly as many bytes as were asked for, with their length, that nothing can compress", async () => {
    const agent = agentOf(await register());
    const response = await agent.send("GET", `${DOWN}?bytes=200001`);
    expect(response.headers.get("content-length")).toBe("200001");
    expect(response.headers.get("cache-control")).toMatch(/no-store.*no-transform/);
    const bytes = await response.arrayBuffer();
    expect(bytes.byteLength).toBe(200_001);
    const packed = new Response(new Blob([bytes.slice(0, 65_536)]).stream().pipeThrough(new CompressionStream("gzip")));
    expect((await packed.arrayBuffer()).byteLength).toBeGreaterThan(65_000);
    expect((await (await agent.send("GET", `${DOWN}?bytes=0`)).arrayBuffer()).byteLength).toBe(0);
  });

  test.each(["", "?bytes=", "?bytes=-1", "?bytes=1e6", "?bytes=0x10", "?bytes=9999999999999"])(
    "'%s' names no number",
    async (query) => {
      const response = await agentOf(await register()).send("GET", `${DOWN}${query}`);
      expect((await problemOf(response)).code).toBe("bad_query");
    },
  );

  test("more than a request may carry is cut, and the length says so; nothing is made that is not taken", async () => {
    const response = await agentOf(await register()).send("GET", `${DOWN}?bytes=${10 * TRANSFER_BYTES}`);
    expect(response.headers.get("content-length")).toBe(String(TRANSFER_BYTES));
    const reader = response.body?.getReader();
    expect((await reader?.read())?.value?.byteLength).toBeLessThanOrEqual(65_536);
    await reader?.cancel();
  });
});

describe("up", () => {
  test("the last count is the body's length, and counts never fall", async () => {
    const { stream } = pulled(3_000_001);
    const agent = agentOf(await register());
    const response = await fetchEdge(UP, { method: "POST", body: stream, headers: agent.headers });
    expect(response.headers.get("content-type")).toBe("application/x-ndjson");
    const counts = countsIn(await textOf(response));
    expect(counts.at(-1)).toMatchObject({ bytes: 3_000_001, done: true });
    counts.reduce((before, count) => {
      expect(count.bytes).toBeGreaterThanOrEqual(before.bytes);
      expect(count.t_ms).toBeGreaterThanOrEqual(before.t_ms);
      return count;
    });
  });

  test("counts come while the body is still on its way", async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const agent = agentOf(await register());
    const response = await fetchEdge(UP, { method: "POST", body: readable, headers: agent.headers });
    const lines = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
    expect(countsIn((await lines.read()).value ?? "")[0]).toMatchObject({ bytes: 0 });
    const writer = writable.getWriter();
    await writer.write(new Uint8Array(1000));
    await writer.close();
    let rest = "";
    for (let part = await lines.read(); !part.done; part = await lines.read()) rest += part.value;
    expect(countsIn(rest).at(-1)).toMatchObject({ bytes: 1000, done: true });
  });

  test("no body is no bytes; a body beyond the most is refused, or cut where its length was not told", async () => {
    const agent = agentOf(await register());
    expect(countsIn(await textOf(await agent.send("POST", UP))).at(-1)).toMatchObject({ bytes: 0, done: true });
    const long = await fetchEdge(UP, {
      method: "POST",
      headers: { ...agent.headers, "content-length": String(TRANSFER_BYTES + 1) },
    });
    expect((await problemOf(long)).code).toBe("too_large");
    const { state, stream } = pulled(2 * TRANSFER_BYTES, 1_000_000);
    const endless = await fetchEdge(UP, { method: "POST", body: stream, headers: agent.headers });
    expect(countsIn(await textOf(endless)).at(-1)).toMatchObject({ done: true, cut: expect.stringMatching(/100 MB/) });
    // It was let go soon after, not read to its end.
    expect(state.given).toBeLessThan(1.2 * TRANSFER_BYTES);
  });
});

test("a token moves so much in a minute and no more, and another client is not hindered", async () => {
  const agent = agentOf(await register());
  let passed = 0;
  let refused: Response | undefined;
  for (let request = 0; request < 40 && refused === undefined; request++) {
    const response = await agent.send("GET", `${DOWN}?bytes=${TRANSFER_BYTES}`);
    if (response.status === 429) refused = response;
    else passed += 1;
    await response.body?.cancel();
  }
  expect(passed).toBeGreaterThan(0);
  expect(passed).toBeLessThanOrEqual(30);
  expect(refused?.headers.get("retry-after")).toBe("60");
  expect((await agentOf(await register()).send("GET", `${DOWN}?bytes=10`)).status).toBe(200);
});

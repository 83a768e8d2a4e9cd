// HTTP: one request on a fresh connection in its phases, redirects followed one by one, the response judged.

import type { Status } from "#contract/result";
import type { HttpParams } from "#contract/test-types/http";
import { statusFits } from "#contract/test-types/http";
import type { Budget } from "../budget.ts";
import { type Content, codingsOf, decodeContent } from "../http/content.ts";
import { type Finding, findings, statusExpected } from "../http/expect.ts";
import { type Failure, failure } from "../http/failure.ts";
import type { Http2Module } from "../http/http2.ts";
import { type Journey, travel } from "../http/journey.ts";
import { measureReuse } from "../http/reuse.ts";
import { type Target, targetOf } from "../http/target.ts";
import { warmUp } from "../http/warm.ts";
import type { Row } from "../rows.ts";
import { warmUp as warmUpConnect } from "./endpoint.ts";
import { httpDetail, httpMetrics, type Told } from "./http-metrics.ts";
import { bodyRow, httpView, passedRow, reuseRow } from "./http-rows.ts";
import { type Outcome, type Probe, type RunContext, unmeasured } from "./probe.ts";

/** A run with less time than this is not warmed up: its time is the target's. */
const WARM_LEFT_MS = 400;

/** Rows for whoever watches, made and printed when no clock is held up by it: while the run waits for the network. */
class LiveRows {
  readonly #context: RunContext;
  #waiting: (() => Row)[] = [];

  constructor(context: RunContext) {
    this.#context = context;
  }

  /** Shows a row at the next idle moment. */
  later(make: () => Row): void {
    if (!this.#context.watched) return;
    this.#waiting.push(make);
    setImmediate(() => this.flush());
  }

  /** Shows what is still waiting. */
  flush(): void {
    const rows = this.#waiting;
    this.#waiting = [];
    for (const make of rows) this.#context.show(make());
  }
}

async function run(destination: string, params: HttpParams, context: RunContext): Promise<Outcome> {
  const { budget } = context;
  const parsed = targetOf(destination);
  if (!parsed.ok) {
    const error = { code: "invalid_instruction", source: "agent", message: `destination ${parsed.message}` } as const;
    return unmeasured("http", error, "not_applicable");
  }
  const http2 = await http2For(parsed.target, params);
  if (budget.left() > WARM_LEFT_MS) await getReady({ tls: parsed.target.scheme === "https", http2 });
  context.measuring();
  const live = new LiveRows(context);
  const journey = await travel({
    target: parsed.target,
    params,
    http2,
    signal: budget.signal,
    objection: (url) => context.objection(url),
    passed: (phase, visit) => live.later(() => passedRow(phase, visit)),
  });
  const judged = await judge(journey, params, budget);
  const { content } = judged;
  if (content !== null) live.later(() => bodyRow(journey.last, content));
  const reuse = judged.failure === null ? await measureReuse(journey, budget) : null;
  journey.last.connection?.close();
  if (reuse !== null && reuse.reused !== null) live.later(() => reuseRow(reuse));
  live.flush();
  return outcome({ journey, ...judged, reuse }, budget.stopped);
}

/** The first request of a process must not pay for code that never ran before. */
async function getReady(needs: Parameters<typeof warmUp>[0]): Promise<void> {
  await warmUpConnect();
  await warmUp(needs);
}

/** The HTTP/2 client, loaded only where it may be spoken. */
function http2For(target: Target, params: HttpParams): Promise<Http2Module | undefined> {
  const possible =
    params.http_version === "2" || (params.http_version === "auto" && (target.scheme === "https" || params.redirects > 0));
  return possible ? import("node:http2") : Promise.resolve(undefined);
}

/** Decodes the body and holds the response against what was expected. */
async function judge(
  journey: Journey,
  params: HttpParams,
  budget: Budget,
): Promise<{ failure: Failure | null; content: Content | null; findings: Finding[] }> {
  const { exchange } = journey.last;
  if (journey.failure !== null || exchange === null || exchange.status === null) {
    return { failure: journey.failure, content: null, findings: [] };
  }
  const decoded = await decodeContent({
    body: exchange.body,
    codings: codingsOf(exchange.headers.get("content-encoding")),
    max_bytes: params.max_bytes,
    cut: exchange.truncated,
    keep: params.expect_body !== undefined || params.expect_json !== undefined,
    signal: budget.signal,
  });
  // Nothing was asked for, so nothing is said about it.
  const content = params.method === "HEAD" ? { ...decoded, decoded: null, sha256: null } : decoded;
  if (budget.over && content.broken !== null) {
    return { failure: failure("deadline", "agent", "the body was not decoded before the run's deadline"), content, findings: [] };
  }
  const answer = { status: exchange.status, headers: exchange.headers, body: content.bytes, truncated: content.truncated };
  const found = findings(params, answer);
  return { failure: verdict(exchange.status, content, found, params), content, findings: found };
}

function verdict(status: number, content: Content, found: readonly Finding[], params: HttpParams): Failure | null {
  const expected = statusExpected(params);
  if (!statusFits(status, expected)) {
    return failure(
      "http_status",
      "target",
      `the server answered ${status}; expected ${expected
        .split(",")
        .map((part) => part.trim())
        .join(" or ")}`,
    );
  }
  if (content.broken !== null) {
    return failure("bad_response", "target", `the body cannot be decompressed: ${content.broken}`);
  }
  const missed = found.filter(({ ok }) => !ok);
  if (missed.length === 0) return null;
  const words = missed.map(
    ({ what, expected: wanted, found: instead }) =>
      `expected ${what} '${wanted.slice(0, 100)}', found ${instead ?? "something else"}`,
  );
  return failure("assertion_failed", "target", words.join("; "));
}

/** A run that its deadline cut in the body has measured something; every other failure has failed. */
function statusOf(told: Told): Status {
  if (told.failure === null) return "ok";
  const answered = typeof told.journey.last.exchange?.status === "number";
  return answered && told.failure.code === "deadline" ? "partial" : "failed";
}

function outcome(told: Told, stopped: boolean): Outcome {
  const { journey, content } = told;
  const sheet = httpMetrics(told);
  const flags = [
    ...journey.flags,
    ...(content?.truncated === true ? ["body_capped"] : []),
    ...(typeof content?.unknown === "string" ? ["encoding_unknown"] : []),
    ...(typeof journey.last.tls?.authorization_error === "string" ? ["certificate_invalid"] : []),
  ];
  const error =
    stopped && told.failure !== null ? failure("aborted", "agent", "the run was stopped before its end") : told.failure;
  return {
    address: journey.last.address,
    status: statusOf(told),
    error: error === null ? null : { code: error.code, source: error.source, message: error.message },
    metrics: sheet.metrics,
    reasons: sheet.reasons,
    detail: httpDetail(told),
    flags,
  };
}

/** A web request (RFC 9110, 9112, 9113), its phases as W3C Resource Timing names them. */
export const http: Probe<"http"> = {
  places: () => ({ sockets: 1 }),
  run,
  view: httpView,
};

// What every request of an agent goes through: whose token it is, and a body that is checked before it is used.
import type { Context } from "hono";
import type { z } from "zod";
import { LIMITS } from "#contract/limits";
import { fieldErrors } from "#contract/problem";
import { verifyAgentToken } from "../auth/agent-token.ts";
import type { Env } from "../env.ts";
import { parseJson } from "../json.ts";
import { bearer } from "../middleware/authenticate.ts";
import { countFailure } from "../middleware/failures.ts";
import { readCapped } from "../middleware/guard.ts";
import { ProblemError } from "../problem-error.ts";
import { findClient } from "../store/clients.ts";
import { database } from "../store/database.ts";
import type { ClientRow } from "../store/schema.ts";

export type AgentApp = { Bindings: Env };
export type AgentContext = Context<AgentApp>;

/** A body as JSON, gunzipped where it says so, never more than the limits in memory. */
export async function readBody<Schema extends z.ZodType>(context: AgentContext, schema: Schema): Promise<z.output<Schema>> {
  const { raw } = context.req;
  if (Number(context.req.header("content-length") ?? 0) > LIMITS.uploadBytes) throw tooLarge();
  const sent = raw.body === null ? new Uint8Array() : await readCapped(raw.body, LIMITS.uploadBytes);
  const encoding = (context.req.header("content-encoding") ?? "identity").toLowerCase();
  const bytes = encoding === "gzip" ? await inflate(sent) : sent;
  if (encoding !== "gzip" && encoding !== "identity")
    throw new ProblemError("unsupported_media_type", `Content-encoding ${encoding} is not understood; use gzip or none.`);
  const parsed = schema.safeParse(readJson(bytes));
  if (!parsed.success)
    throw new ProblemError("invalid", "The body does not have the expected fields.", fieldErrors(parsed.error));
  return parsed.data;
}

const tooLarge = () =>
  new ProblemError(
    "too_large",
    `An upload holds at most ${LIMITS.uploadBytes / 1024} KiB as sent and ${LIMITS.uploadInflatedBytes / 1024 / 1024} MiB inflated. Send fewer results at once.`,
  );

/** Inflates up to the limit and stops there: a bomb never unfolds. */
async function inflate(sent: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([sent]).stream().pipeThrough(new DecompressionStream("gzip"));
  try {
    return await readCapped(stream, LIMITS.uploadInflatedBytes, 0);
  } catch (error) {
    if (error instanceof ProblemError) throw tooLarge();
    throw new ProblemError("malformed", "The body says it is gzip but cannot be inflated.");
  }
}

function readJson(bytes: Uint8Array): unknown {
  const value = parseJson(new TextDecoder().decode(bytes));
  if (value === undefined) throw new ProblemError("malformed", "The body is not JSON.");
  return value;
}

/** Whose token it is. Nothing billed is touched before this has passed. */
export async function caller(context: AgentContext): Promise<{ client_id: string; epoch: number }> {
  const token = bearer(context);
  if (token === undefined) throw new ProblemError("unauthenticated", "Send the client's token as Authorization: Bearer.");
  const known = await verifyAgentToken(context.env, token);
  if (known === undefined) throw await refused(context, "This is not a token of this server. Register the agent again.");
  return known;
}

export const refused = (context: AgentContext, detail: string) =>
  countFailure(context, "", new ProblemError("bad_token", detail));

/** Why a token that was genuine counts no more. */
export const gone = (code: string) =>
  new ProblemError(
    code === "bad_token" ? "bad_token" : "token_revoked",
    "This client's token is no longer valid. Register the agent again with an enrolment token.",
  );

/** The client whose token it is, as D1 knows it; throws where the token was revoked. */
export async function callingClient(context: AgentContext): Promise<ClientRow> {
  const { client_id, epoch } = await caller(context);
  const row = await findClient(database(context.env.DB), client_id);
  if (row === undefined) throw gone("bad_token");
  if (row.token_epoch !== epoch || row.status === "retired") throw gone("token_revoked");
  return row;
}

// Failed attempts are throttled by address; what succeeds is not, since a branch shares one.
import type { Context } from "hono";
import type { Env } from "../env.ts";
import { ProblemError } from "../problem-error.ts";

/** Counts a refusal against the address: the problem itself, or a 429 once there were too many. `kind` keeps apart what is tried. */
export async function countFailure(context: Context, kind: "" | "sign-in ", problem: ProblemError): Promise<ProblemError> {
  const { FAILURES } = context.env as Env;
  const { success } = await FAILURES.limit({ key: kind + (context.req.header("cf-connecting-ip") ?? "local") });
  if (success) return problem;
  return new ProblemError("throttled", "Too many failed attempts from this address. Wait a minute.", [], { "retry-after": "60" });
}

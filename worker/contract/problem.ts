// RFC 9457 problem details: one closed set of codes, mapped to HTTP once.
import { z } from "zod";
import "./messages.ts";

export const PROBLEMS = {
  malformed: { status: 400, title: "The request could not be read" },
  bad_query: { status: 400, title: "A query parameter is wrong" },
  unauthenticated: { status: 401, title: "Sign in first" },
  session_expired: { status: 401, title: "The session has ended" },
  bad_credentials: { status: 401, title: "User name or password is wrong" },
  bad_token: { status: 401, title: "The token is not valid" },
  token_revoked: { status: 401, title: "The token was revoked" },
  forbidden: { status: 403, title: "Your role does not allow this" },
  bad_origin: { status: 403, title: "The request came from another site" },
  not_found: { status: 404, title: "Nothing is here" },
  conflict: { status: 409, title: "It clashes with what is there" },
  already_set_up: { status: 409, title: "StreamSwarm is already set up" },
  gap: { status: 409, title: "Results before these are missing" },
  too_large: { status: 413, title: "The request is too large" },
  unsupported_media_type: { status: 415, title: "The content type is not understood" },
  invalid: { status: 422, title: "Some fields are wrong" },
  throttled: { status: 429, title: "Too many attempts" },
  internal: { status: 500, title: "StreamSwarm made a mistake" },
  unavailable: { status: 503, title: "Try again shortly" },
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

export const fieldErrorSchema = z.object({ path: z.string(), message: z.string() });
export type FieldError = z.infer<typeof fieldErrorSchema>;

/** The body of every error answer, `application/problem+json`. */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code: z.string(),
  errors: z.array(fieldErrorSchema),
});
export type Problem = z.infer<typeof problemSchema>;

/** Builds the body of an error answer. `detail` says what happened and what to do next. */
export function problem(code: ProblemCode, detail: string, errors: FieldError[] = []): Problem {
  const { status, title } = PROBLEMS[code];
  return { type: `urn:streamswarm:problem:${code}`, title, status, detail, code, errors };
}

/** Zod issues as field errors; unknown fields are named one by one. */
export function fieldErrors(error: z.ZodError, prefix: (string | number)[] = []): FieldError[] {
  return error.issues.flatMap((issue) => {
    const path = [...prefix, ...issue.path.map((part) => (typeof part === "symbol" ? String(part) : part))];
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ path: [...path, key].join("."), message: "is not a known field" }));
    }
    return [{ path: path.join("."), message: issue.message }];
  });
}

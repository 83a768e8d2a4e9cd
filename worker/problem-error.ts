import { type FieldError, PROBLEMS, type ProblemCode, problem } from "#contract/problem";

/** Thrown anywhere below a route; the app answers it as RFC 9457 problem+json. */
export class ProblemError extends Error {
  readonly code: ProblemCode;
  readonly errors: FieldError[];
  readonly headers: Record<string, string>;

  constructor(code: ProblemCode, detail: string, errors: FieldError[] = [], headers: Record<string, string> = {}) {
    super(detail);
    this.name = "ProblemError";
    this.code = code;
    this.errors = errors;
    this.headers = headers;
  }

  toResponse(): Response {
    return problemResponse(this.code, this.message, this.errors, this.headers);
  }
}

export function problemResponse(
  code: ProblemCode,
  detail: string,
  errors: FieldError[] = [],
  headers: Record<string, string> = {},
): Response {
  return new Response(JSON.stringify(problem(code, detail, errors)), {
    status: PROBLEMS[code].status,
    headers: { "content-type": "application/problem+json", "cache-control": "no-store", ...headers },
  });
}

/** A body whose fields are wrong, each of them named. */
export const invalid = (errors: FieldError[]) =>
  new ProblemError("invalid", "Correct the named fields and send it again.", errors);

export const notFound = (what: string) => new ProblemError("not_found", `There is no such ${what}, or you may not see it.`);

// An error answer of the API, or a request that got none.
import { type FieldError, type Problem, problemSchema } from "#contract/problem";

export class ApiError extends Error {
  override readonly name = "ApiError";
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  readonly code: string;
  readonly fields: FieldError[];

  constructor(status: number, code: string, message: string, fields: FieldError[] = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.fields = fields;
  }
}

export function errorFromProblem(body: Problem): ApiError {
  return new ApiError(body.status, body.code, body.detail || body.title, body.errors);
}

/** Reads an error answer, which a proxy in between may have written. */
export async function errorFromResponse(response: Response): Promise<ApiError> {
  const text = await response.text();
  const parsed = problemSchema.safeParse(parseJson(text));
  if (parsed.success) return errorFromProblem(parsed.data);
  return new ApiError(response.status, "unreadable", `The server answered ${response.status} ${response.statusText}`.trim());
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** First message of each field. */
export function fieldMap(errors: readonly FieldError[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { path, message } of errors) found[path] ??= message;
  return found;
}

/** What the server found wrong with single fields. */
export const refusedFields = (error: unknown): Record<string, string> =>
  error instanceof ApiError ? fieldMap(error.fields) : {};

/** What to tell a person about anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

// How web API routes are declared: one declaration says path, role, what is taken, what is answered; OpenAPI comes from it.
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { LIMITS } from "#contract/limits";
import { fieldErrors } from "#contract/problem";
import type { App } from "../middleware/context.ts";
import { invalid, ProblemError } from "../problem-error.ts";
import { database } from "../store/database.ts";

export { createRoute, z };

/** A router whose validation failures become problems: 400 for the address, 422 for the body, every bad field named. */
export function router() {
  return new OpenAPIHono<App>({
    defaultHook: (result) => {
      if (result.success) return;
      const errors = fieldErrors(result.error as z.ZodError);
      if (result.target === "json") throw invalid(errors);
      throw new ProblemError("bad_query", "Correct the named query parameters.", errors);
    },
  });
}

export const json = <Schema extends z.ZodType>(schema: Schema, description = "Done") => ({
  description,
  content: { "application/json": { schema } },
});

export const body = <Schema extends z.ZodType>(schema: Schema) => ({
  body: { required: true, content: { "application/json": { schema } } },
});

export const idParam = z.object({ id: z.string().min(1).max(64) });

export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(LIMITS.listPage).default(200),
  cursor: z
    .string()
    .regex(/^[0-9a-z-]{1,64}$/, "is not a cursor of this list; take it from next_cursor of the page before")
    .optional(),
};

/** A point in time in a query: RFC 3339, or epoch milliseconds. */
export const timeParam = z
  .union([
    z.iso.datetime({ offset: true }).transform((text) => Date.parse(text)),
    z
      .string()
      .regex(/^\d{1,15}$/)
      .transform(Number),
  ])
  .optional();

export const db = (context: Context<App>) => database(context.env.DB);

export const ipOf = (context: Context): string | null => context.req.header("cf-connecting-ip") ?? null;

/** The parts of a change that were given: a column set to undefined would be an error, an absent one stays. */
export function defined<Change extends object>(change: Change): { [Key in keyof Change]: Exclude<Change[Key], undefined> } {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) as never;
}

/** What a row was before a change, as far as the change touches it: for the audit log. */
export function touched(row: object, change: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).filter(([key]) => key in change));
}

/** Audit details of the acting person. */
export const by = (context: Context<App>) => ({ actor: context.get("actor").user.username, ip: ipOf(context) });

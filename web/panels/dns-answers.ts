// What each resolver of the newest run answered.
import { z } from "zod";
import type { Result } from "#contract/result";
import { flagOrNull, listOf, numberOrNull, textOrNull, texts } from "./read.ts";

const resolverSchema = z.object({
  server: textOrNull,
  transport: textOrNull,
  query_ms: numberOrNull,
  rcode: textOrNull,
  answers: z
    .unknown()
    .optional()
    .transform((value) => answersOf(value)),
  ttl_min: numberOrNull,
  ad: flagOrNull,
  error: z
    .unknown()
    .optional()
    .transform((value) => errorText(value)),
});
export type ResolverAnswer = z.output<typeof resolverSchema>;

const recordSchema = z.object({ data: textOrNull });

/** Records as texts, or as objects with their data. */
function answersOf(value: unknown): string[] {
  const plain = texts(value);
  return plain.length > 0 ? plain : listOf(value, recordSchema).flatMap(({ data }) => data ?? []);
}

const errorSchema = z.object({ message: textOrNull, code: textOrNull });

function errorText(value: unknown): string | null {
  if (typeof value === "string") return value.slice(0, 300);
  const parsed = errorSchema.safeParse(value);
  return parsed.success ? (parsed.data.message ?? parsed.data.code) : null;
}

export const resolversOf = ({ detail }: Pick<Result, "detail">): ResolverAnswer[] => listOf(detail.resolvers, resolverSchema, 16);

/** Whether the answers differ between resolvers, regardless of their order. */
export function answersDiffer(resolvers: readonly ResolverAnswer[]): boolean {
  const kinds = new Set(resolvers.map(({ rcode, answers }) => JSON.stringify([rcode, answers.toSorted()])));
  return kinds.size > 1;
}

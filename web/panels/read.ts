// Reading a result's detail. An agent of any version wrote it, or a hostile one: whatever does not fit is left out.
import { z } from "zod";

const TEXT_LONGEST = 300;
const LIST_LONGEST = 64;

/** Lets text through that a page can hold; anything else is null. */
export const textOrNull = z
  .string()
  .transform((text) => (text.length > TEXT_LONGEST ? `${text.slice(0, TEXT_LONGEST)}…` : text))
  .nullable()
  .catch(null);

export const numberOrNull = z.number().nullable().catch(null);
export const flagOrNull = z.boolean().nullable().catch(null);

/** The items that fit `item`, in their order. */
export function listOf<Item extends z.ZodType>(value: unknown, item: Item, most = LIST_LONGEST): z.output<Item>[] {
  if (!Array.isArray(value)) return [];
  return value.slice(0, most).flatMap((one: unknown) => {
    const parsed = item.safeParse(one);
    return parsed.success ? [parsed.data] : [];
  });
}

/** The word a table has for what an agent wrote; undefined for `constructor` and the like, which every object inherits. */
export const wordOf = (table: Readonly<Record<string, string>>, key: string): string | undefined =>
  Object.hasOwn(table, key) ? table[key] : undefined;

const text = z
  .string()
  .min(1)
  .transform((value) => value.slice(0, TEXT_LONGEST));

/** The texts of a list; a single text is a list of one. */
export const texts = (value: unknown, most = LIST_LONGEST): string[] =>
  listOf(typeof value === "string" ? [value] : value, text, most);

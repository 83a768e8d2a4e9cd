// Differentiated services code points (RFC 2474) by the names network engineers use.

const NAMES: ReadonlyMap<number, string> = new Map([
  [0, "BE"], // default forwarding, "best effort" (RFC 2474)
  [1, "LE"], // lower effort (RFC 8622)
  ...[1, 2, 3, 4, 5, 6, 7].map((n): [number, string] => [8 * n, `CS${n}`]), // class selectors (RFC 2474 4.2.2)
  ...[1, 2, 3, 4].flatMap((n) => [1, 2, 3].map((drop): [number, string] => [8 * n + 2 * drop, `AF${n}${drop}`])), // RFC 2597
  [44, "VA"], // voice admit (RFC 5865)
  [46, "EF"], // expedited forwarding (RFC 3246)
]);

const VALUES: ReadonlyMap<string, number> = new Map([...NAMES].map(([value, name]) => [name, value]));

/** The name of a code point, 0 to 63; `DSCP 5` where it has none. */
export const dscpName = (value: number): string => NAMES.get(value) ?? `DSCP ${value}`;

/** The code point that a name or a decimal number stands for; undefined when it is neither. */
export function dscpOf(text: string): number | undefined {
  const named = VALUES.get(text.toUpperCase());
  if (named !== undefined) return named;
  const value = /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  return value <= 63 ? value : undefined;
}

/** Code points of a list such as `0,46` or `BE,EF`; undefined when one of them is none. */
export function dscpList(text: string): number[] | undefined {
  const values = text.split(",").map((each) => dscpOf(each.trim()));
  return values.every((value) => value !== undefined) ? values : undefined;
}

/** A list in consecutive slices of at most `size`: D1 binds 100 parameters, and only so many objects are asked at once. */
export function* slices<Item>(items: readonly Item[], size: number): Generator<Item[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}

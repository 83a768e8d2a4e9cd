// Changing the query of the page that is shown.
import { useLocation } from "preact-iso";

export type QueryPatch = Record<string, string | undefined>;

/** The URL with some query values replaced; undefined and "" remove one. */
export function withQuery(path: string, query: Readonly<Record<string, string>>, patch: QueryPatch): string {
  const next = new URLSearchParams(query);
  for (const [name, value] of Object.entries(patch)) {
    if (value === undefined || value === "") next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString();
  return text === "" ? path : `${path}?${text}`;
}

export function useQueryPatch(): (patch: QueryPatch, replace?: boolean) => void {
  const { path, query, route } = useLocation();
  return (patch, replace = true) => route(withQuery(path, query, patch), replace);
}

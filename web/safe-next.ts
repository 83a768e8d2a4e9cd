// Where signing in leads.

/** Only a path of this origin; anything else could lead a person away right after signing in. */
export function safeNext(next: string | undefined): string {
  return next && /^\/(?![/\\])/.test(next) && !next.startsWith("/login") ? next : "/";
}

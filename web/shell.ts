// The command that brings a new client in.

/** A word for a POSIX shell: bare where that is safe, else in single quotes. */
export function shellQuote(word: string): string {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

export interface EnrolOptions {
  readonly server: string;
  readonly token: string;
  readonly name?: string;
  readonly site?: string;
}

export function enrolCommand(options: EnrolOptions): string {
  const words = ["npm", "run", "agent", "--", "run", "--server", options.server, "--token", options.token];
  if (options.name) words.push("--name", options.name);
  if (options.site) words.push("--site", options.site);
  return words.map(shellQuote).join(" ");
}

/** Whether only this machine can reach the origin. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" || /^127\./.test(hostname);
}

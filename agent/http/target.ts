// A URL taken apart for a request, and where a redirect leads. Pure.
import { checkUrl } from "#contract/destination";
import { printable } from "../printable.ts";

export interface Target {
  readonly scheme: "http" | "https";
  /** Bare host: a name in ASCII or an address without brackets. */
  readonly host: string;
  readonly port: number;
  /** The Host header or `:authority` (RFC 9110 7.2). */
  readonly authority: string;
  /** Path and query as they were written, `&` and `%` included. */
  readonly path: string;
  /** The whole URL without its fragment. */
  readonly url: string;
  /** The URL as it may be kept and shown. */
  readonly label: string;
}

export type TargetCheck = { ok: true; target: Target } | { ok: false; message: string };

/** Characters a path or query may hold as they are (RFC 3986 3.3, 3.4). */
const PLAIN_PATH = /^[/?][A-Za-z0-9\-._~:/?@!$&'()*+,;=%[\]]*$/;

/** A URL that passes the destination grammar, taken apart; its message otherwise. Whoever named it may see all of it. */
export function targetOf(text: string): TargetCheck {
  const checked = checkUrl(text);
  if (!checked.ok) return checked;
  const { scheme, host, port } = checked;
  const parsed = new URL(checked.url);
  const written = /^https?:\/\/[^/?#\\]+([^#]*)/i.exec(text.trim())?.[1] ?? "";
  const plain = PLAIN_PATH.test(written) ? written : `${parsed.pathname}${parsed.search}`;
  const path = plain.startsWith("/") ? plain : `/${plain}`;
  const authority = parsed.host;
  const url = `${scheme}://${authority}${path}`;
  return { ok: true, target: { scheme, host, port, authority, path, url, label: url } };
}

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

/** Whether a response sends the client elsewhere (RFC 9110 15.4). */
export const isRedirect = (status: number, location: string | undefined): location is string =>
  REDIRECTS.includes(status) && location !== undefined && location !== "";

export type Next = { ok: true; target: Target } | { ok: false; message: string; downgrade: boolean };

/** Where a Location header leads from here, or why it is not followed (RFC 9110 10.2.2, 15.4). */
export function nextTarget(from: Target, location: string): Next {
  const refuse = (message: string, downgrade = false): Next => ({ ok: false, message, downgrade });
  // An absolute URL is checked as written, since parsing it would turn 0x7f.1 into an address.
  const absolute = /^[a-z][a-z0-9+.-]*:/i.test(location) ? location : undefined;
  const sameScheme = /^\/\//.test(location) ? `${from.scheme}:${location}` : undefined;
  const next = targetOf(absolute ?? sameScheme ?? relative(from, location) ?? "");
  if (!next.ok) return refuse(`the redirect to ${quoted(location)} ${next.message}`);
  if (from.scheme === "https" && next.target.scheme === "http") {
    return refuse(`the redirect to ${quoted(location)} leaves https for http, which is not followed`, true);
  }
  return { ok: true, target: { ...next.target, label: withoutSecrets(next.target.url) } };
}

function relative(from: Target, location: string): string | undefined {
  return URL.canParse(location, from.url) ? new URL(location, from.url).href : undefined;
}

/**
 * A URL or what passes for one, fit to be kept: the tokens and sessions that redirects carry are left out. Of its query and of
 * path parameters only the names stay, of its user and fragment nothing.
 */
export function withoutSecrets(url: string): string {
  const [, before = "", query] = /^([^?#]*)(\?[^#]*)?/.exec(url) ?? [];
  const place = before.replace(/[/\\]{2}[^/\\]*@/, "//…@").replaceAll(/;([^=/;]*)=[^/;]*/g, ";$1=…");
  return `${place}${query?.replaceAll(/([?&;])([^=&;]{0,40}=)?[^&;]*/g, "$1$2…") ?? ""}`;
}

/** A redirect's destination as a message quotes it. */
export const quoted = (location: string): string => `'${withoutSecrets(printable(location, 4096)).slice(0, 200)}'`;

// What this host agreed to: a local file that limits what the server may ask for. Checked before every run.
import { BlockList, isIP } from "node:net";
import { z } from "zod";
import { checkHost } from "#contract/destination";
import { checkTest, isTestTypeName, TEST_TYPE_NAMES, testType } from "#contract/test-types/index";
import { parseJson } from "./config.ts";
import { UsageError } from "./exit.ts";
import { readIfThere } from "./files.ts";
import type { RunOrder, Veto } from "./runner.ts";

const consentSchema = z
  .strictObject({
    types: z.array(z.string()),
    destinations: z.array(z.string().min(1)),
    min_interval_s: z.number().min(0),
    /** Whether other agents may measure against this host's reflector. */
    reflector: z.boolean(),
  })
  .partial();
export type Consent = z.infer<typeof consentSchema>;

/** A rule is an address block (10.0.0.0/8, one address), a name, or a suffix (*.example.com). */
function matcher(rule: string): (host: string) => boolean {
  const [base = "", bits] = rule.split("/");
  const version = isIP(base);
  if (version !== 0) {
    const family = version === 4 ? "ipv4" : "ipv6";
    const list = new BlockList();
    list.addSubnet(base, bits === undefined ? (version === 4 ? 32 : 128) : Number(bits), family);
    return (host) => isIP(host) === version && list.check(host, family);
  }
  if (rule.startsWith("*.")) return (host) => host.endsWith(rule.slice(1).toLowerCase());
  const name = checkHost(rule);
  if (!name.ok) throw new Error(`'${rule}' ${name.message}`);
  return (host) => host === name.host;
}

/** The veto a consent file amounts to. Throws what is wrong with it. */
export function vetoOf(consent: Consent): Veto {
  const unknown = consent.types?.find((type) => !(TEST_TYPE_NAMES as readonly string[]).includes(type));
  if (unknown !== undefined) throw new Error(`types names '${unknown}'; this agent knows ${TEST_TYPE_NAMES.join(", ")}`);
  const matchers = consent.destinations?.map(matcher);
  const pace = new Pace((consent.min_interval_s ?? 0) * 1000);
  return (order: RunOrder) => {
    if (consent.types !== undefined && !consent.types.includes(order.type)) {
      return `this host's consent file does not allow ${order.type} tests`;
    }
    const contacts = matchers === undefined ? [] : contactsOf(order);
    if (contacts === undefined) return "this host's consent file limits destinations, and this one cannot be judged";
    const barred = contacts.find((host) => !matchers?.some((matches) => matches(host)));
    if (barred !== undefined) return `this host's consent file does not allow ${barred}`;
    if (consent.min_interval_s !== undefined && order.interval_s !== undefined && order.interval_s < consent.min_interval_s) {
      return `this host's consent file asks for at least ${consent.min_interval_s} s between runs`;
    }
    return order.interval_s === undefined && pace.tooSoon(`${order.type} ${order.destination}`)
      ? `this host's consent file asks for at least ${consent.min_interval_s} s between runs`
      : undefined;
  };
}

/** When single orders last ran, which have no interval that could be judged. */
class Pace {
  readonly #least_ms: number;
  readonly #last = new Map<string, number>();

  constructor(least_ms: number) {
    this.#least_ms = least_ms;
  }

  /** Whether the same ran less than the least interval ago; if not, it runs now. */
  tooSoon(what: string): boolean {
    const now = performance.now();
    for (const [known, at] of this.#last) if (now - at >= this.#least_ms) this.#last.delete(known);
    if (this.#last.has(what)) return true;
    this.#last.set(what, now);
    return false;
  }
}

/** Every host the order means to speak to; undefined when that cannot be told, since its destination or parameters are wrong. */
function contactsOf(order: RunOrder): string[] | undefined {
  if (!isTestTypeName(order.type)) return undefined;
  const checked = checkTest(order.type, order.destination, order.params, order.interval_s);
  return checked.ok ? testType(order.type).contacts(order.destination, checked.params) : undefined;
}

/** What a consent file amounts to. */
export interface Agreement {
  readonly veto: Veto;
  /** Whether a reflector may be opened. */
  readonly reflector: boolean;
}

/** Reads a consent file; a malformed one stops the agent, since ignoring it would do what its owner forbade. */
export function loadAgreement(path: string): Agreement {
  const text = readIfThere(path);
  if (text === undefined) throw new UsageError(`--consent ${path}: there is no such file`);
  const parsed = consentSchema.safeParse(parseJson(text, path));
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => {
      const key = issue.code === "unrecognized_keys" ? (issue.keys[0] ?? "") : String(issue.path[0] ?? "");
      const message =
        issue.code === "unrecognized_keys" ? `${key} is not a known setting` : `${issue.path.join(".")}: ${issue.message}`;
      return `${lineOf(text, key)}${message}`;
    });
    throw new UsageError(`--consent ${path}: ${issues.join("; ")}`);
  }
  try {
    return { veto: vetoOf(parsed.data), reflector: parsed.data.reflector ?? true };
  } catch (error) {
    const message = (error as Error).message;
    throw new UsageError(`--consent ${path}: ${lineOf(text, /'([^']+)'/.exec(message)?.[1] ?? "")}${message}`);
  }
}

/** The veto of a consent file. */
export const loadConsent = (path: string): Veto => loadAgreement(path).veto;

/** `line n: ` of the first line that holds the word. */
function lineOf(text: string, word: string): string {
  const index = word === "" ? -1 : text.split("\n").findIndex((line) => line.includes(`"${word}"`));
  return index < 0 ? "" : `line ${index + 1}: `;
}

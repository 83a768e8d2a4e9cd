// Reads a consent file: JSON as people write it, with comments and trailing commas. Every mistake is told with its line.
import { accessSync, constants, readFileSync, type Stats, statSync } from "node:fs";
import type { Node, ParseError } from "jsonc-parser";
import { type Consent, consentSchema } from "#contract/consent";
import "#contract/messages";
import { isTestTypeName, TEST_TYPE_NAMES } from "#contract/test-types/index";
import { readRule } from "./consent-rules.ts";
import { UsageError } from "./exit.ts";

/** A file beyond this is no consent file, bytes. */
const BYTES_MAX = 1024 * 1024;
/** Mistakes told at once. */
const MISTAKES_MAX = 20;

type Setting = keyof Consent;
type Jsonc = typeof import("jsonc-parser");

const SETTINGS = Object.keys(consentSchema.shape) as Setting[];
const LISTS: readonly Setting[] = ["types", "destinations", "forbidden_destinations"];

/** What may stand there, for people. */
const ALLOWED: Readonly<Record<Setting, string>> = {
  types: `a list of test types (${TEST_TYPE_NAMES.join(", ")})`,
  destinations: 'a list of rules such as ["10.0.0.0/8", "*.example.com"]',
  forbidden_destinations: 'a list of rules such as ["10.0.0.0/8", "*.example.com"]',
  min_interval_s: "a number of seconds from 0 to 86400",
  max_packets_per_s: "a number above 0, at most 1000000",
  max_bytes_per_run: "a whole number of bytes above 0",
  max_bytes_per_day: "a whole number of bytes above 0",
  reflector: "true or false",
  self_test: "true or false",
};

/** A consent file as it was read. */
export interface ConsentFile {
  readonly consent: Consent;
  /** What to tell the owner although the file is good. */
  readonly warnings: readonly string[];
  /** Of the file as it was when its reading began: a change since then has another one. */
  readonly stamp: string;
}

/** What one file holds that is wrong. */
interface Mistake {
  readonly offset: number;
  readonly what: string;
}

/** Reads the file. Throws UsageError naming every mistake with its line: ignoring one would do what the owner forbade. */
export async function readConsentFile(path: string): Promise<ConsentFile> {
  const stamp = stampOf(path);
  const { text, warnings } = readText(path);
  const jsonc = await import("jsonc-parser");
  const { consent, mistakes } = judge(jsonc, text);
  if (mistakes.length === 0) return { consent, warnings, stamp };
  const told = mistakes
    .toSorted((a, b) => a.offset - b.offset)
    .slice(0, MISTAKES_MAX)
    .map(({ offset, what }) => `--consent ${path}: line ${lineAt(text, offset)}: ${what}`);
  if (mistakes.length > told.length) told.push(`--consent ${path}: and ${mistakes.length - told.length} more`);
  throw new UsageError(told.join("\n"));
}

/** What changes when a file does; one that is missing or out of reach has a stamp of its own. Never throws. */
export function stampOf(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs, mode } = statSync(path);
    return `${ino} ${size} ${mtimeMs} ${ctimeMs} ${mode}`;
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}

function readText(path: string): { text: string; warnings: string[] } {
  const refuse = (why: string) => new UsageError(`--consent ${path}: ${why}`);
  let stats: Stats;
  let bytes: Buffer;
  try {
    stats = statSync(path);
    if (stats.isDirectory()) throw refuse("is a directory; name the file in it");
    if (!stats.isFile()) throw refuse("is not a regular file");
    if (stats.size > BYTES_MAX) throw refuse(`has ${stats.size} bytes; a consent file has at most ${BYTES_MAX}`);
    accessSync(path, constants.R_OK);
    bytes = readFileSync(path);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw refuse("there is no such file; leave --consent out where everything may be measured");
    if (code === "EACCES" || code === "EPERM") throw refuse("may not be read by the user this agent runs as");
    throw refuse(`cannot be read: ${message}`);
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return { text, warnings: looseness(path, stats) };
  } catch {
    throw refuse("is not UTF-8 text");
  }
}

/** Anybody on this host may write what its owner allows: that is told, not refused, since mounted volumes often look so. */
function looseness(path: string, { mode }: Stats): string[] {
  if (process.platform === "win32" || (mode & constants.S_IWOTH) === 0) return [];
  return [`every user of this host may change ${path}; chmod o-w takes that away`];
}

const lineAt = (text: string, offset: number): number => text.slice(0, offset).split(/\r\n|\r|\n/).length;

function judge(jsonc: Jsonc, text: string): { consent: Consent; mistakes: Mistake[] } {
  const nothing = (offset: number, what: string) => ({ consent: {}, mistakes: [{ offset, what }] });
  const errors: ParseError[] = [];
  let tree: Node | undefined;
  try {
    tree = jsonc.parseTree(text, errors, { allowTrailingComma: true, allowEmptyContent: true });
  } catch (error) {
    if (error instanceof RangeError) return nothing(0, "is nested too deeply; a consent file is one object of settings");
    throw error;
  }
  if (errors.length > 0) return { consent: {}, mistakes: syntaxMistakes(jsonc, text, errors) };
  if (tree === undefined) return nothing(text.length, "is empty; write {} to allow everything");
  if (tree.type !== "object")
    return nothing(tree.offset, `is ${named(tree)}; a consent file is one object: { "types": ["ping"] }`);
  return readSettings(tree);
}

const KINDS: Readonly<Record<string, string>> = { array: "a list", object: "an object", null: "null", string: "text" };

const named = ({ type }: Node): string => KINDS[type] ?? `a ${type}`;

const SYNTAX: Readonly<Record<string, string>> = {
  InvalidSymbol: "holds a word that is not JSON; text stands in double quotes",
  InvalidNumberFormat: "holds a number that is none",
  PropertyNameExpected: "has no setting's name in double quotes where one belongs",
  ValueExpected: "has no value where one belongs",
  ColonExpected: "has no colon after the setting's name",
  CommaExpected: "lacks a comma or a closing bracket before this",
  CloseBraceExpected: "ends before its closing }",
  CloseBracketExpected: "ends before a closing ]",
  EndOfFileExpected: "goes on after its end",
  InvalidCommentToken: "holds a comment that is none; comments are // and /* */",
  UnexpectedEndOfComment: "ends inside a comment",
  UnexpectedEndOfString: "holds text whose closing quote is missing",
  UnexpectedEndOfNumber: "ends inside a number",
  InvalidUnicode: "holds an unfinished \\u escape",
  InvalidEscapeCharacter: "holds an escape that JSON does not have; write \\\\ for a backslash",
  InvalidCharacter: "holds a control character inside text",
};
/** Said of the end of a file, where what is still open says more. */
const EXPECTATIONS: readonly string[] = ["PropertyNameExpected", "ValueExpected"];

/** One word for each line: the parser tells of one slip several times. What comes after the first few may be their echo. */
function syntaxMistakes(jsonc: Jsonc, text: string, errors: readonly ParseError[]): Mistake[] {
  const byLine = new Map<number, Mistake & { vague: boolean }>();
  for (const { error, offset } of errors) {
    const line = lineAt(text, offset);
    const code = jsonc.printParseErrorCode(error);
    const near = nearby(text, offset);
    const known = byLine.get(line);
    if (known !== undefined && !(known.vague && code.startsWith("Close"))) continue;
    const vague = EXPECTATIONS.includes(code) && near === AT_END;
    byLine.set(line, { offset, what: `${SYNTAX[code] ?? "is not JSON"} (near ${near})`, vague });
  }
  return [...byLine.values()].slice(0, 3);
}

const AT_END = "the end of the file";

function nearby(text: string, offset: number): string {
  const word = /^\s*(\S{1,20})/.exec(text.slice(offset))?.[1];
  return word === undefined ? AT_END : `'${word}'`;
}

function readSettings(root: Node): { consent: Consent; mistakes: Mistake[] } {
  const mistakes: Mistake[] = [];
  const consent: Record<string, unknown> = {};
  const seen = new Set<string>();
  for (const property of root.children ?? []) {
    const [key, value] = property.children ?? [];
    if (key === undefined || value === undefined) continue;
    const name = String(key.value);
    const tell = (node: Node, what: string) => mistakes.push({ offset: node.offset, what });
    if (seen.has(name)) tell(key, `${name} is given twice; one of the two would be ignored, so write it once`);
    seen.add(name);
    if (!isSetting(name)) {
      tell(key, `${name.slice(0, 60)} is not a known setting${suggestion(name, SETTINGS)}; known are ${SETTINGS.join(", ")}`);
      continue;
    }
    const read = readSetting(name, value, tell);
    if (read !== undefined) consent[name] = read;
  }
  return { consent: consent as Consent, mistakes };
}

const isSetting = (name: string): name is Setting => (SETTINGS as readonly string[]).includes(name);

type Tell = (node: Node, what: string) => void;

/** A setting's value, checked; undefined once its mistakes are told. */
function readSetting(name: Setting, value: Node, tell: Tell): unknown {
  if (!LISTS.includes(name)) {
    const parsed = consentSchema.shape[name].safeParse(value.value);
    if (parsed.success && parsed.data !== undefined) return parsed.data;
    tell(value, `${name} ${problemOf(value)}; it must be ${ALLOWED[name]}`);
    return undefined;
  }
  if (value.type !== "array") {
    tell(value, `${name} is ${named(value)}; it must be ${ALLOWED[name]}`);
    return undefined;
  }
  const items = value.children ?? [];
  const whole = consentSchema.shape[name].safeParse(items.map(() => "x"));
  if (!whole.success) tell(value, `${name} has ${items.length} entries: it ${whole.error.issues[0]?.message ?? "is too long"}`);
  const good = items.filter((item, index) => {
    const problem = name === "types" ? typeProblem(item) : ruleProblem(item);
    if (problem !== undefined) tell(item, `${name}[${index}] ${problem}`);
    return problem === undefined;
  });
  return good.map((item) => String(item.value).trim());
}

const problemOf = (value: Node): string =>
  value.type === "number" || value.type === "boolean" ? `is ${String(value.value)}` : `is ${named(value)}`;

const quoted = (text: string): string => `'${text.slice(0, 80)}'`;

function typeProblem(item: Node): string | undefined {
  if (item.type !== "string") return `is ${named(item)}; test types are words: ${TEST_TYPE_NAMES.join(", ")}`;
  const word = String(item.value).trim();
  if (isTestTypeName(word)) return undefined;
  return `${quoted(word)} is no test type${suggestion(word, TEST_TYPE_NAMES)}; this agent knows ${TEST_TYPE_NAMES.join(", ")}`;
}

function ruleProblem(item: Node): string | undefined {
  if (item.type !== "string") return `is ${named(item)}; a rule is text such as "10.0.0.0/8"`;
  const rule = readRule(String(item.value));
  return rule.kind === "problem" ? `${quoted(String(item.value))} ${rule.problem}` : undefined;
}

/** The known word a mistyped one most likely is, as a question: at most a third of its letters differ. */
function suggestion(word: string, known: readonly string[]): string {
  const spelled = word.toLowerCase().slice(0, 40);
  const best = known.map((each) => ({ each, distance: editDistance(spelled, each) })).sort((a, b) => a.distance - b.distance)[0];
  return best !== undefined && best.distance <= Math.max(1, best.each.length / 3) ? ` (did you mean ${best.each}?)` : "";
}

/** Letters to insert, delete or replace to make one word of the other (Levenshtein). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= to.length; j++) {
      const same = letter === to[j - 1] ? 0 : 1;
      next.push(Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + same));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}

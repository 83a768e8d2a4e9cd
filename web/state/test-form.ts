// The test form as data: what was typed, the request it makes, and every field that is wrong.
import { type Client, createTestSchema, type Selector, type Test } from "#contract/api";
import { peerDestination } from "#contract/destination";
import { type FieldError, fieldErrors } from "#contract/problem";
import { checkTest, isTestTypeName, type TestTypeName, testType } from "#contract/test-types/index";
import { typeWord } from "../format.ts";
import { peerDestinationOf, peerName } from "../peers.ts";
import { fieldMap } from "../problem.ts";
import { tagsFromText, tagsText } from "../tags.ts";
import { numberFrom, paramFields, paramText, paramValue } from "./param-fields.ts";

export const TARGETS = ["clients", "all", "site", "tags"] as const;
export type Target = (typeof TARGETS)[number];

/** What is measured: an address, one other client, or every client of the test by every other. */
export const AIMS = ["address", "client", "mesh"] as const;
export type Aim = (typeof AIMS)[number];

export interface TestForm {
  name: string;
  type: TestTypeName;
  aim: Aim;
  /** The address, host or URL. */
  destination: string;
  /** The client to measure; empty until one is chosen. */
  peerId: string;
  interval: string;
  packetSize: string;
  /** The type's other parameters as typed; empty takes the default. */
  params: Record<string, string>;
  target: Target;
  clientIds: string[];
  site: string;
  tags: string;
}

/** The packet size a new test of the type begins with; empty where its tool's own is usual. */
export function usualPacketSize(type: TestTypeName): string {
  const usual: unknown = testType(type).params.safeParse({}).data?.packet_size;
  return typeof usual === "number" ? String(usual) : "";
}

/** Another type has other parameters and another pace. */
export const changedType = (type: TestTypeName): Partial<TestForm> => ({
  type,
  ...(testType(type).peer === undefined ? { aim: "address" } : {}),
  params: {},
  interval: String(testType(type).default_interval_s),
  packetSize: usualPacketSize(type),
});

export const hasPacketSize = (type: TestTypeName) => Object.hasOwn(testType(type).params.shape, "packet_size");

export function emptyForm(clientIds: string[]): TestForm {
  const type: TestTypeName = "ping";
  return {
    name: "",
    type,
    aim: "address",
    destination: "",
    peerId: "",
    interval: String(testType(type).default_interval_s),
    packetSize: usualPacketSize(type),
    params: {},
    target: "clients",
    clientIds,
    site: "",
    tags: "",
  };
}

function aimOf(destination: string): Pick<TestForm, "aim" | "destination" | "peerId"> {
  const peer = peerDestination(destination);
  if (peer === undefined) return { aim: "address", destination, peerId: "" };
  return { aim: peer.kind, destination: "", peerId: peer.kind === "client" ? peer.client_id : "" };
}

/** The destination as the server takes it. */
export function destinationOf({ aim, destination, peerId }: Pick<TestForm, "aim" | "destination" | "peerId">): string {
  if (aim === "mesh") return "mesh";
  return aim === "client" ? peerDestinationOf(peerId) : destination;
}

/** What a test is called that nobody named. */
function usualName(form: TestForm): string {
  if (form.aim === "mesh") return `${typeWord(form.type)} mesh`;
  return `${form.aim === "address" ? form.destination.trim() : peerName(form.peerId)} ${form.type}`.trim();
}

export function formOfTest(test: Test): TestForm {
  const type = isTestTypeName(test.type) ? test.type : "ping";
  const own = Object.entries(test.params).filter(([name]) => name !== "packet_size");
  const selector = test.selector;
  const target: Target = !selector ? "clients" : selector.all ? "all" : selector.tags ? "tags" : "site";
  return {
    name: test.name,
    type,
    ...aimOf(test.destination),
    interval: String(test.interval_s),
    packetSize: test.packet_size === null ? usualPacketSize(type) : String(test.packet_size),
    params: Object.fromEntries(own.map(([name, value]) => [name, paramText(type, name, value)])),
    target,
    clientIds: test.client_ids,
    site: selector?.site ?? "",
    tags: tagsText(selector?.tags ?? {}),
  };
}

function paramsOf(form: TestForm): Record<string, unknown> {
  const params: Record<string, unknown> = {};
  for (const field of paramFields(form.type)) {
    const text = form.params[field.name] ?? "";
    if (text !== "") params[field.name] = paramValue(field, text);
  }
  return params;
}

function selectorOf(form: TestForm): Selector | null {
  if (form.target === "all") return { all: true };
  if (form.target === "site") return { site: form.site };
  return form.target === "tags" ? { tags: tagsFromText(form.tags) } : null;
}

export function bodyOf(form: TestForm) {
  return {
    name: form.name.trim() === "" ? usualName(form) : form.name,
    type: form.type,
    destination: destinationOf(form),
    interval_s: numberFrom(form.interval),
    ...(hasPacketSize(form.type) ? { packet_size: numberFrom(form.packetSize) } : {}),
    params: paramsOf(form),
    client_ids: form.target === "clients" ? form.clientIds : [],
    selector: selectorOf(form),
  };
}

/** How many clients a filled form names; null where that is only known when it is saved. */
export function clientCount(
  form: TestForm,
  clients: readonly Pick<Client, "id" | "site" | "status">[] | undefined,
): number | null {
  if (form.target === "clients") return form.clientIds.length;
  const alive = clients?.filter(({ status }) => status !== "retired");
  if (form.target === "all") return alive?.length ?? null;
  return form.target === "site" ? (alive?.filter(({ site }) => site === form.site).length ?? null) : null;
}

/** An edit that leaves its clients alone says nothing about them: a stored selector may be richer than this form. */
export function withoutSameTarget(body: ReturnType<typeof bodyOf>, form: TestForm, start: TestForm) {
  const parts = ({ target, clientIds, site, tags }: TestForm) => JSON.stringify([target, clientIds, site, tags]);
  if (parts(form) !== parts(start)) return body;
  const { client_ids: _ids, selector: _selector, ...rest } = body;
  return rest;
}

/** Every field that is wrong, by path; the same schemas the server uses. */
export function errorsOf(form: TestForm): Record<string, string> {
  const body = bodyOf(form);
  // An empty choice would be read as a host with a strange name.
  const errors: FieldError[] =
    form.aim === "client" && form.peerId === "" ? [{ path: "destination", message: "names no client; choose one" }] : [];
  const size = typeof body.packet_size === "number" ? { packet_size: body.packet_size } : {};
  const interval = typeof body.interval_s === "number" ? body.interval_s : undefined;
  const checked = checkTest(form.type, body.destination, { ...body.params, ...size }, interval);
  if (!checked.ok) {
    errors.push(...checked.errors);
    // A parameter its schema refuses hides what else is wrong; the rest is asked for without it.
    const wrong = new Set(checked.errors.map(({ path }) => path));
    const rest = Object.fromEntries(Object.entries(body.params).filter(([name]) => !wrong.has(`params.${name}`)));
    const again = checkTest(form.type, body.destination, { ...rest, ...size }, interval);
    const typed = (path: string) => path === "destination" || Object.hasOwn(rest, path.replace(/^params\./, ""));
    if (!again.ok) errors.push(...again.errors.filter(({ path }) => typed(path)));
  }
  // After the type's own messages, which know what belongs there.
  const parsed = createTestSchema.safeParse(body);
  if (!parsed.success) errors.push(...fieldErrors(parsed.error));
  errors.push(...whoErrors(form));
  return byPath(errors);
}

/** What is wrong with who measures. */
function whoErrors(form: TestForm): FieldError[] {
  const errors: FieldError[] = [];
  const chosen = form.target === "clients" ? form.clientIds : null;
  if (chosen?.length === 0) errors.push({ path: "client_ids", message: "names no client; choose at least one" });
  if (form.aim === "mesh" && chosen?.length === 1)
    errors.push({ path: "client_ids", message: "names one client; a mesh needs two or more" });
  if (form.aim === "client" && chosen?.length === 1 && chosen[0] === form.peerId)
    errors.push({ path: "client_ids", message: "names only the client that is measured; choose another one" });
  if (form.target === "site" && form.site.trim() === "") errors.push({ path: "selector", message: "names no site" });
  if (form.target === "tags" && Object.keys(tagsFromText(form.tags)).length === 0)
    errors.push({ path: "selector", message: "names no tag" });
  return errors;
}

/** First message of each path. */
export function byPath(errors: readonly FieldError[]): Record<string, string> {
  const parts = ["selector", "client_ids"];
  return fieldMap(errors.map(({ path, message }) => ({ path: parts.find((part) => path.startsWith(part)) ?? path, message })));
}

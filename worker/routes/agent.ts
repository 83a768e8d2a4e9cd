// The agent API: registration, the socket, and the same over plain HTTPS. The client id always comes from the token.
import { Hono } from "hono";
import { UNREADABLE } from "#contract/consent";
import {
  heartbeatBodySchema,
  type RegisterBody,
  type RegisterReply,
  registerBodySchema,
  type Tags,
  uploadBodySchema,
} from "#contract/wire";
import { issueAgentToken, verifyAgentToken } from "../auth/agent-token.ts";
import { clientObject, isLocal } from "../env.ts";
import { newId, sha256 } from "../ids.ts";
import { logError } from "../log.ts";
import { bearer } from "../middleware/authenticate.ts";
import { greetingOf, type Identity } from "../objects/view.ts";
import { ProblemError } from "../problem-error.ts";
import { findClient, insertClient, sees, updateClient } from "../store/clients.ts";
import { readSettings } from "../store/config.ts";
import { database } from "../store/database.ts";
import { concernedBy, instructionFor } from "../store/instruction.ts";
import type { ClientRow, EdgeView, TokenRow } from "../store/schema.ts";
import { bumpRevision } from "../store/tests.ts";
import { findEnrolment, takeEnrolmentUse } from "../store/tokens.ts";
import { findUser } from "../store/users.ts";
import { type AgentApp, type AgentContext, caller, callingClient, gone, readBody, refused } from "./agent-request.ts";
import { peers } from "./peers.ts";
import { push } from "./push.ts";

export const agent = new Hono<AgentApp>();
agent.route("/", peers);

function edgeView(context: AgentContext): EdgeView | null {
  const { cf } = context.req.raw;
  if (isLocal(context.env) || cf === undefined) return null;
  return {
    ip: context.req.header("cf-connecting-ip") ?? null,
    colo: typeof cf.colo === "string" ? cf.colo : null,
    asn: typeof cf.asn === "number" ? cf.asn : null,
    country: typeof cf.country === "string" ? cf.country : null,
  };
}

const NEAR: Record<string, DurableObjectLocationHint> = { EU: "weur", NA: "enam", SA: "sam", AS: "apac", OC: "oc", AF: "afr" };

/** A new client's object is made near its office; the hint counts at its first use only. */
function objectOf(context: AgentContext, id: string) {
  const continent = context.req.raw.cf?.continent;
  const hint = !isLocal(context.env) && typeof continent === "string" ? NEAR[continent] : undefined;
  return clientObject(context.env, id, hint);
}

agent.post("/register", async (context) => {
  const secret = bearer(context);
  if (secret === undefined)
    throw new ProblemError(
      "unauthenticated",
      "Send an enrolment token as Authorization: Bearer. Add a client in the dashboard to get one.",
    );
  const db = database(context.env.DB);
  const token = await findEnrolment(db, await sha256(secret), Date.now());
  if (token === undefined)
    throw await refused(
      context,
      "This enrolment token is not known, has expired or was revoked. Add a client in the dashboard to get a new one.",
    );
  const input = await readBody(context, registerBodySchema);
  const known = await provenClient(context, input);
  const { row, epoch, status } =
    known === undefined ? await makeClient(context, input, token) : await renewClient(context, input, known);
  const greeting = greetingOf(row.version, row.capabilities);
  const consent = JSON.stringify(row.consent);
  const identity: Identity = { id: row.id, name: row.name, site: row.site, tags: row.tags, epoch, greeting, consent };
  const { last_seq } = await objectOf(context, row.id).enrol(identity);
  if (status === 201) context.executionCtx.waitUntil(tellMeshes(context, row).catch((error) => logError("tell_meshes", error)));
  const reply: RegisterReply = {
    client_id: row.id,
    token: await issueAgentToken(context.env, row.id, epoch),
    last_seq,
    instruction: await instructionFor(db, row, await readSettings(db)),
    server_time: Date.now(),
  };
  return context.json(reply, status);
});

/** A new client is measured by the others of every mesh that takes it in: they are told, without its reply waiting for it. */
async function tellMeshes(context: AgentContext, row: ClientRow): Promise<void> {
  const db = database(context.env.DB);
  const concerned = await concernedBy(db, row);
  if (concerned.length === 0) return;
  await bumpRevision(db, Date.now());
  await push(context, concerned);
}

/** The client this installation was, if it proves so with that client's last token. */
async function provenClient(context: AgentContext, input: RegisterBody): Promise<ClientRow | undefined> {
  const proof = input.proof === undefined ? undefined : await verifyAgentToken(context.env, input.proof);
  if (proof === undefined) return undefined;
  const row = await findClient(database(context.env.DB), proof.client_id);
  // The epoch before the newest counts as well: the agent may have died before it kept the newest token.
  const proven =
    row !== undefined && row.install_id === input.install_id && row.token_epoch - proof.epoch <= 1 && row.status !== "retired";
  return proven ? row : undefined;
}

/** What the host's owner allows, where the agent tells it readably: what was known stays else. */
const toldConsent = ({ consent }: RegisterBody) => (consent === undefined || consent === UNREADABLE ? {} : { consent });

async function renewClient(context: AgentContext, input: RegisterBody, row: ClientRow) {
  const epoch = row.token_epoch + 1;
  const change = {
    token_epoch: epoch,
    version: input.version,
    platform: input.platform,
    capabilities: input.capabilities,
    ...toldConsent(input),
    edge: edgeView(context),
  };
  const renewed = await updateClient(database(context.env.DB), row.id, change);
  return { row: renewed ?? row, epoch, status: 200 as const };
}

async function makeClient(context: AgentContext, input: RegisterBody, token: TokenRow) {
  const db = database(context.env.DB);
  const now = Date.now();
  const site = input.site ?? token.site ?? "";
  const owner = token.user_id === null ? undefined : await findUser(db, token.user_id);
  if (owner !== undefined && !sees(owner.sites, site)) {
    throw new ProblemError(
      "forbidden",
      `This enrolment token does not reach the site "${site}". Leave --site away, or use another token.`,
    );
  }
  if (!(await takeEnrolmentUse(db, token.id, now))) {
    throw await refused(
      context,
      "This enrolment token has been used as often as it may. Add a client in the dashboard to get a new one.",
    );
  }
  const tags: Tags = { ...token.tags, ...input.tags };
  const id = newId();
  const { name, version, platform, capabilities, install_id } = input;
  await insertClient(db, {
    id,
    name,
    site,
    tags,
    version,
    platform,
    capabilities,
    consent: null,
    ...toldConsent(input),
    edge: edgeView(context),
    install_id,
    now,
  });
  const row = await findClient(db, id);
  if (row === undefined) throw new ProblemError("unavailable", "The client could not be stored. Try again.");
  return { row, epoch: 1, status: 201 as const };
}

agent.get("/connect", async (context) => {
  const { client_id, epoch } = await caller(context);
  if (context.req.header("upgrade")?.toLowerCase() !== "websocket")
    throw new ProblemError("bad_query", "This address is a WebSocket; open it with one.");
  return clientObject(context.env, client_id).fetch(
    new Request("https://client/connect", {
      headers: { upgrade: "websocket", "x-token-epoch": String(epoch), "x-edge-host": new URL(context.req.url).host },
    }),
  );
});

agent.get("/instruction", async (context) => {
  const row = await callingClient(context);
  const db = database(context.env.DB);
  const instruction = await instructionFor(db, row, await readSettings(db));
  const etag = `"${instruction.revision}"`;
  if (context.req.header("if-none-match") === etag) return context.body(null, 304, { etag });
  return context.json(instruction, 200, { etag });
});

agent.post("/upload", async (context) => {
  const { client_id, epoch } = await caller(context);
  const body = await readBody(context, uploadBodySchema);
  const outcome = await clientObject(context.env, client_id).upload({ epoch }, body);
  if ("refused" in outcome) throw gone(outcome.refused);
  return context.json(outcome, 200);
});

agent.post("/heartbeat", async (context) => {
  const { client_id, epoch } = await caller(context);
  const body = await readBody(context, heartbeatBodySchema);
  const outcome = await clientObject(context.env, client_id).heartbeat({ epoch }, body);
  if ("refused" in outcome) throw gone(outcome.refused);
  return context.json(outcome, 200);
});

// Agent to agent: where a client answers others, and the keys with which it measures against them.
import { type Context, Hono } from "hono";
import { checkHost } from "#contract/destination";
import {
  advertisedProblem,
  type PeerReply,
  type PeersReply,
  peersBodySchema,
  type ReflectorReply,
  reflectorBodySchema,
  SECRET_SLOT_MS,
} from "#contract/peers";
import type { FieldError } from "#contract/problem";
import { reflectorSecret, senderKey, sessionIdOf } from "../auth/reflector-key.ts";
import { isLocal } from "../env.ts";
import { base64url } from "../ids.ts";
import { invalid } from "../problem-error.ts";
import { database } from "../store/database.ts";
import { neighbourhood, peersOf } from "../store/instruction.ts";
import { findPeers, keepReflector, type PeerRow } from "../store/reflectors.ts";
import { type AgentApp, callingClient, readBody } from "./agent-request.ts";

export const peers = new Hono<AgentApp>();

/** What is wrong with the addresses a client says it is reached at. */
function addressErrors(addresses: readonly string[], local: boolean): FieldError[] {
  return addresses.flatMap((address, index) => {
    const message = advertisedProblem(address, local);
    return message === undefined ? [] : [{ path: `addresses.${index}`, message }];
  });
}

/** One spelling for each, none twice. */
const canonical = (addresses: readonly string[]): string[] => [
  ...new Set(addresses.map((address) => checkHost(address)).flatMap((one) => (one.ok ? [one.host] : []))),
];

peers.post("/reflector", async (context) => {
  const row = await callingClient(context);
  const { port, addresses } = await readBody(context, reflectorBodySchema);
  const errors = addressErrors(addresses, isLocal(context.env));
  if (errors.length > 0) throw invalid(errors);
  const now = Date.now();
  await keepReflector(database(context.env.DB), { client_id: row.id, addresses: canonical(addresses), port, at: now });
  const slot = Math.floor(now / SECRET_SLOT_MS);
  // Of the slot before, since senders may hold its keys still; of the next, so that none finds the reflector unprepared.
  const secrets = [slot - 1, slot, slot + 1].map(async (one) => ({
    from: one * SECRET_SLOT_MS,
    until: endOf(one),
    secret: base64url(await reflectorSecret(context.env, row.id, row.token_epoch, one)),
  }));
  const reply: ReflectorReply = { secrets: await Promise.all(secrets), server_time: now };
  return context.json(reply, 200);
});

/** A key is handed out during its slot and good during the next one too, so that it lives through a while without the edge. */
const endOf = (slot: number): number => (slot + 2) * SECRET_SLOT_MS;

peers.post("/peers", async (context) => {
  const row = await callingClient(context);
  const { client_ids } = await readBody(context, peersBodySchema);
  const db = database(context.env.DB);
  const around = await neighbourhood(db, row);
  const own = around.tests.filter((test) => test.enabled && around.runs(row, test));
  const mine = new Set(own.flatMap((test) => peersOf(around, test)?.peers ?? []));
  const asked = [...new Set(client_ids)];
  const found = await findPeers(
    db,
    asked.filter((id) => mine.has(id)),
  );
  const now = Date.now();
  const ssid = await sessionIdOf(row.id);
  const reply: PeersReply = {
    peers: await Promise.all(asked.map((id) => answerFor(context, { id, mine: mine.has(id), peer: found.get(id) }, ssid, now))),
    server_time: now,
  };
  return context.json(reply, 200);
});

async function answerFor(
  context: Context<AgentApp>,
  { id, mine, peer }: { id: string; mine: boolean; peer: PeerRow | undefined },
  ssid: number,
  now: number,
): Promise<PeerReply> {
  // Whether a client exists that no test of the asker names is none of its business.
  if (!mine) return { client_id: id, problem: "not_yours" };
  if (peer === undefined || peer.status === "retired") return { client_id: id, problem: "unknown" };
  if (peer.addresses === null || peer.addresses.length === 0) return { client_id: id, problem: "no_address" };
  const slot = Math.floor(now / SECRET_SLOT_MS);
  const key = await senderKey(await reflectorSecret(context.env, id, peer.token_epoch, slot), ssid);
  const { name, addresses, port } = peer;
  return { client_id: id, name, addresses, port, ssid, key: base64url(key), until: endOf(slot) };
}

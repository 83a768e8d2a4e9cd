// The names of clients, for destinations that are clients. Read once when a page first needs one it does not have.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { clientSchema, pageOf } from "#contract/api";
import { LIMITS } from "#contract/limits";
import { get } from "../api.ts";
import { idsIn, type PeerNames, peerNames } from "../peers.ts";

const clientPage = pageOf(clientSchema);

/** A name that was not there is asked for again after this long: the client may be new. */
const ASK_AGAIN_MS = 30_000;

const asked = signal(0);

export function learnNames(clients: readonly { readonly id: string; readonly name: string }[]): void {
  const known = peerNames.peek();
  if (clients.every(({ id, name }) => known.get(id) === name)) return;
  peerNames.value = new Map([...known, ...clients.map(({ id, name }) => [id, name] as const)]);
}

/** Sees to it that the clients named in destinations and messages have names; answers the names known by now. */
export function useClientNames(texts: readonly string[]): PeerNames {
  const known = peerNames.value;
  const missing = [...new Set(texts.flatMap(idsIn))].filter((id) => !known.has(id));
  const wanted = missing.join(" ");
  useEffect(() => {
    if (wanted === "" || Date.now() - asked.peek() < ASK_AGAIN_MS) return;
    asked.value = Date.now();
    get(`/clients?limit=${LIMITS.listPage}`, clientPage)
      .then((page) => learnNames(page.items))
      // Without its name a client is shown by its id; what else is on the page says that the server does not answer.
      .catch((error: unknown) => console.warn("The names of clients cannot be read", error));
  }, [wanted]);
  return known;
}

// One client as live frames change it.
import type { ClientDetail, LiveFrame } from "#contract/api";
import type { Result } from "#contract/result";
import { isMesh, type PeerNames, peerName, peerOf } from "../peers.ts";

/** Newest result of each test, and of each peer where a test has several; a repeated or older one changes nothing. */
export function mergeLatest(latest: readonly Result[], result: Result): Result[] {
  const same = (one: Result) => one.test_id === result.test_id && one.peer_id === result.peer_id;
  const known = latest.find(same);
  if (known && known.seq >= result.seq) return [...latest];
  return [...latest.filter((one) => !same(one)), result];
}

type OneTest = Pick<ClientDetail["tests"][number], "id" | "destination">;

/** The peers a test of this client has measured, by name; a test that measures no client has the one `null`. */
export function peersOf(
  test: OneTest,
  latest: readonly Pick<Result, "test_id" | "peer_id">[],
  names: PeerNames,
): (string | null)[] {
  const only = peerOf(test.destination);
  if (only !== null) return [only];
  if (!isMesh(test.destination)) return [null];
  const peers = latest.filter((one) => one.test_id === test.id).flatMap(({ peer_id }) => (peer_id === null ? [] : [peer_id]));
  const found = [...new Set(peers)].sort((a, b) => peerName(a, names).localeCompare(peerName(b, names)));
  return found.length > 0 ? found : [null];
}

export function applyClientFrame(client: ClientDetail, frame: LiveFrame): ClientDetail {
  switch (frame.type) {
    case "snapshot":
      return frame.client ? { ...client, ...frame.client } : client;
    case "status": {
      const { status, status_reason, status_since, last_seen_at, outbox = client.outbox } = frame;
      return { ...client, status, status_reason, status_since, last_seen_at, outbox };
    }
    case "result": {
      const latest = frame.result?.test_id ? mergeLatest(client.latest, frame.result) : client.latest;
      const newer = frame.host && (client.host?.seq ?? 0) < frame.host.seq ? frame.host : client.host;
      const seen = frame.result?.received_at ?? frame.host?.received_at ?? client.last_seen_at;
      return { ...client, latest, host: newer, last_seen_at: seen };
    }
    default:
      return client;
  }
}

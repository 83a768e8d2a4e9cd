// One client as live frames change it.
import type { ClientDetail, LiveFrame } from "#contract/api";
import type { Result } from "#contract/result";

/** Newest result of each test; a repeated or older one changes nothing. */
export function mergeLatest(latest: readonly Result[], result: Result): Result[] {
  const key = result.test_id;
  const known = latest.find((one) => one.test_id === key);
  if (known && known.seq >= result.seq) return [...latest];
  return [...latest.filter((one) => one.test_id !== key), result];
}

export function applyClientFrame(client: ClientDetail, frame: LiveFrame): ClientDetail {
  switch (frame.type) {
    case "snapshot":
      return frame.client ? { ...client, ...frame.client } : client;
    case "status": {
      const { status, status_reason, status_since, last_seen_at } = frame;
      return { ...client, status, status_reason, status_since, last_seen_at };
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

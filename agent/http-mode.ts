// The line without a socket: heartbeats and uploads over HTTPS, where a proxy lets no WebSocket through.
import type { HeartbeatReply } from "#contract/wire";
import { backoffMs } from "./backoff.ts";
import type { Cadence } from "./cadence.ts";
import { type EdgeHttp, HttpCarrier, isTokenRefusal, type Refusal } from "./edge-http.ts";
import type { Uploader } from "./uploader.ts";

export interface HttpModeParts {
  readonly http: EdgeHttp;
  readonly token: string;
  readonly uploader: Uploader;
  readonly cadence: Cadence;
  readonly greeting: () => Record<string, unknown>;
  /** A reply and when it was asked for, epoch ms. `first` when uploads have not begun yet. */
  readonly heard: (reply: HeartbeatReply, sent: number, first: boolean) => void;
  readonly sleep: (ms: number) => Promise<void>;
  readonly stopped: () => boolean;
}

/** Runs for `forMs` or until the server refuses the token, which is then the answer. */
export async function httpMode(parts: HttpModeParts, forMs: number): Promise<Refusal | undefined> {
  const carrier = new HttpCarrier(parts.http, parts.token);
  const until = performance.now() + forMs;
  let failures = 0;
  try {
    while (!parts.stopped() && performance.now() < until) {
      const sent = Date.now();
      const answer = await parts.http.heartbeat(parts.token, parts.greeting());
      if (answer.ok) {
        const first = !parts.uploader.uses(carrier);
        parts.heard(answer.value, sent, first);
        if (first) parts.uploader.attach(carrier);
        failures = 0;
      } else if ("refused" in answer && isTokenRefusal(answer.refused)) {
        return answer.refused;
      } else {
        failures += 1;
        parts.uploader.detach(carrier);
      }
      await parts.sleep(failures === 0 ? parts.cadence.httpHeartbeatMs : backoffMs(failures, false));
    }
  } finally {
    parts.uploader.detach(carrier);
  }
  return undefined;
}

// The ten tests whose cost is measured: 4 ping, 2 dns, 2 http, 1 tcp, 1 traceroute, each once a minute.
import type { CreateTest } from "#contract/api";

export const INTERVAL_S = 60;

/** What the tests are pointed at. */
export interface Targets {
  readonly ping: readonly [string, string, string, string];
  readonly dns: readonly [string, string];
  /** Where DNS tests ask; undefined for the system's resolver. */
  readonly resolver: string | undefined;
  readonly http: readonly [string, string];
  readonly tcp: string;
  readonly traceroute: string;
}

type Wanted = Pick<CreateTest, "type" | "destination"> & { readonly params?: Record<string, unknown> };

/** As somebody makes them in the dashboard who changes no parameter. */
export function mixOf(targets: Targets): CreateTest[] {
  const resolver = targets.resolver === undefined ? {} : { resolver: targets.resolver };
  const wanted: Wanted[] = [
    ...targets.ping.map((destination): Wanted => ({ type: "ping", destination })),
    ...targets.dns.map((destination): Wanted => ({ type: "dns", destination, params: resolver })),
    ...targets.http.map((destination): Wanted => ({ type: "http", destination })),
    { type: "tcp", destination: targets.tcp },
    { type: "traceroute", destination: targets.traceroute },
  ];
  return wanted.map((test, i) => ({
    ...test,
    name: `${test.type} ${i + 1}`,
    interval_s: INTERVAL_S,
    selector: { all: true },
  }));
}

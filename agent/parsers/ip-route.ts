// Reads `ip -j route get ADDRESS` (iproute2). JSON in, facts out.

export interface RouteFacts {
  /** Outgoing interface. */
  readonly dev: string;
  readonly gateway: string | null;
  /** MTU of the route, bytes: learnt from a router when `expires` is set, else configured. */
  readonly mtu: number | null;
  /** Seconds until the kernel forgets what it learnt. */
  readonly expires: number | null;
}

const object = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;

const whole = (value: unknown): number | null =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 2 ** 32 ? value : null;

/** Facts of the one route, or undefined when the text is not what iproute2 prints. */
export function parseRouteGet(stdout: string): RouteFacts | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(stdout);
  } catch {
    return undefined;
  }
  const route = Array.isArray(parsed) ? object(parsed[0]) : undefined;
  // The name becomes part of a path below /sys: no separators, and IFNAMSIZ is 16 with its end.
  if (route === undefined || typeof route.dev !== "string" || !/^(?!\.{1,2}$)[^/\s]{1,15}$/.test(route.dev)) return undefined;
  const metrics = Array.isArray(route.metrics) ? object(route.metrics[0]) : undefined;
  return {
    dev: route.dev,
    gateway: typeof route.gateway === "string" ? route.gateway : null,
    mtu: whole(metrics?.mtu),
    expires: whole(route.expires),
  };
}

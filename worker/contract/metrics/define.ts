// What a metric's entry in the catalogue holds.

/** Where a lower or a higher value is the better one; `neither` for facts. */
export type Direction = "lower" | "higher" | "neither";

/** Units as shown to people. `1/s` rates and bytes follow RFC 2863 counters; times are milliseconds unless the unit says otherwise. */
export type Unit =
  | "ms"
  | "s"
  | "days"
  | "%"
  | "bytes"
  | "bytes/s"
  | "bit/s"
  | "Mbit/s"
  | "MHz"
  | "°C"
  | "count"
  | "1/s"
  | "ratio"
  | "MOS"
  | "RPM"
  | "rpm"
  | "W"
  | "h"
  | "dBm"
  | "";

/** The test type a metric belongs to, `host` for the host sample, `agent` for the agent's own health. */
export type Source =
  | "ping"
  | "traceroute"
  | "mtu"
  | "tcp"
  | "udp"
  | "bandwidth"
  | "voip"
  | "qos"
  | "dns"
  | "tls"
  | "http"
  | "host"
  | "agent";

export interface MetricDefinition {
  readonly label: string;
  readonly unit: Unit;
  readonly kind: "number" | "boolean" | "string";
  readonly better: Direction;
  readonly source: Source;
  /** RFC, ITU or kernel document that defines the quantity. */
  readonly reference?: string;
}

/** Makes the entries of one source: numbers, flags and words. */
export function familyOf<const Name extends Source>(source: Name) {
  const cite = (reference: string | undefined) => (reference === undefined ? {} : { reference });
  return {
    number: (label: string, unit: Unit, better: Direction, reference?: string) =>
      ({ source, label, unit, kind: "number", better, ...cite(reference) }) as const,
    flag: (label: string, better: Direction, reference?: string) =>
      ({ source, label, unit: "", kind: "boolean", better, ...cite(reference) }) as const,
    word: (label: string, reference?: string) =>
      ({ source, label, unit: "", kind: "string", better: "neither", ...cite(reference) }) as const,
  };
}

// The parts of a request over the network, in the order they happen: one colour and one word for each, everywhere.

export const PHASE_NAMES = ["redirects", "dns", "tcp", "tls", "wait", "download"] as const;
export type PhaseName = (typeof PHASE_NAMES)[number];

export const PHASE_WORD: Record<PhaseName, string> = {
  redirects: "redirects before",
  dns: "name resolution",
  tcp: "TCP",
  tls: "TLS",
  wait: "waiting",
  download: "download",
};

/** CSS variable of a phase; the palette itself is in style.css. */
export const phaseVariable = (name: PhaseName) => `--ss-phase-${name}`;

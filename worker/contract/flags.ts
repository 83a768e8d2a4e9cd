// Conditions of the measuring host that explain a result, as flags on results and host samples. Everything else a flag may
// say belongs to one test type and is worded by its panel.

/** How much of the network a flagged result still tells. */
export interface HostFlag {
  readonly label: string;
  /** What it means for whoever reads the figures. */
  readonly meaning: string;
}

export const HOST_FLAGS = {
  host_overloaded: {
    label: "host overloaded",
    meaning: "The measuring host had no processor time to spare: times may be its own, not the network's.",
  },
  host_suspended: {
    label: "host was suspended",
    meaning: "The measuring host slept or stood still during the run: what it missed says nothing about the network.",
  },
  clock_step: {
    label: "clock was set",
    meaning: "The measuring host's clock was set during the run. Durations come from another clock and hold.",
  },
  clock_corrected: {
    label: "clock corrected",
    meaning: "The measuring host's clock is wrong: the time of measurement was corrected by the server's clock.",
  },
  link_busy: {
    label: "link busy",
    meaning: "The measuring host's own line was full of other traffic: delay and loss may come from that.",
  },
  own_load: {
    label: "own bandwidth test",
    meaning: "A bandwidth test of this agent filled the line meanwhile.",
  },
  cut_off: {
    label: "cut off",
    meaning: "The measuring host reached neither its gateway, nor a resolver, nor its server: the target was not judged.",
  },
} as const satisfies Record<string, HostFlag>;

export type HostFlagName = keyof typeof HOST_FLAGS;

export const HOST_FLAG_NAMES = Object.keys(HOST_FLAGS) as HostFlagName[];

export const isHostFlag = (flag: string): flag is HostFlagName => Object.hasOwn(HOST_FLAGS, flag);

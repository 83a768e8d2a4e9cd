// Random settings that a seed brings back.

export interface Random {
  /** A whole number, both ends included. */
  integer(low: number, high: number): number;
  pick<T>(choices: readonly [T, ...T[]]): T;
  chance(probability: number): boolean;
}

/** mulberry32: 32 bits of state are plenty for a few dozen draws. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (low: number, high: number) => low + Math.floor(next() * (high - low + 1));
  return {
    integer,
    pick: (choices) => choices[integer(0, choices.length - 1)] ?? choices[0],
    chance: (probability) => next() < probability,
  };
}

/** LAB_SEED, else a new one; a run prints it. */
export function chooseSeed(env: NodeJS.ProcessEnv): number {
  const given = Number(env.LAB_SEED);
  return env.LAB_SEED && Number.isInteger(given) ? given >>> 0 : Math.floor(Math.random() * 2 ** 31);
}

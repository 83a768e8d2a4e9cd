// Tests share their machine with others: what a result says of its host's load is no part of what they ask.
const OF_LOAD: readonly string[] = ["host_overloaded", "link_busy"];

/** The result without the flags of a busy host. */
export const calm = <Result extends { readonly flags: readonly string[] }>(result: Result): Result => ({
  ...result,
  flags: result.flags.filter((flag) => !OF_LOAD.includes(flag)),
});

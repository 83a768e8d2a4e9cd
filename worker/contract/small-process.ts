// How Node is started for an agent, so that it stays small for months: what can only be said before a process begins.

/**
 * A nursery of 1 MB, since an agent makes little garbage; no compilers, whose code alone is 8 MB and which a process that works for
 * milliseconds a minute never gets back. Where something runs hot, the agent switches them on itself. It also says itself when to
 * collect garbage: V8 would do so every two minutes of idling, which costs a fifth of all an agent computes.
 */
export const SMALL_NODE_OPTIONS = [
  "--max-semi-space-size=1",
  "--no-opt",
  "--no-maglev",
  "--no-sparkplug",
  "--expose-gc",
  "--no-memory-reducer",
] as const;

/**
 * One heap of the C library for all threads instead of one each. Blocks from 16 KiB on go back to the system when they are freed:
 * what a compiler needs for a moment would else lie about for good, 4 MB in all.
 */
export const SMALL_ENVIRONMENT = {
  MALLOC_ARENA_MAX: "1",
  MALLOC_MMAP_THRESHOLD_: "16384",
  MALLOC_TRIM_THRESHOLD_: "16384",
} as const;

// The clocks tests are run by: the time as truly as this host knows it, and timers that tell when they were held up.
import { performance } from "node:perf_hooks";
import { conditions } from "./conditions.ts";
import { hostClock } from "./host-clock.ts";
import type { ScheduleClock } from "./scheduler.ts";

export const hostTime: ScheduleClock = {
  now: () => hostClock.now(),
  steady: () => hostClock.steady(),
  after(ms, call) {
    const due = performance.now() + ms;
    const timer = setTimeout(() => {
      conditions.late(performance.now() - due);
      call();
    }, ms);
    return () => clearTimeout(timer);
  },
};

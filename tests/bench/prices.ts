// Cloudflare's prices and daily free allowances, and what an agent-day costs with them. Source: developers.cloudflare.com
// /workers/platform/pricing, /durable-objects/platform/pricing and /d1/platform/pricing as read in November 2026.

export interface AgentDay {
  do_rows_written: number;
  d1_rows_written: number;
  worker_requests: number;
  do_requests: number;
}

const DAYS = 30;
/** An object's event holds 128 MB for about 10 ms. */
const GB_SECONDS_PER_EVENT = 0.01 * 0.128;

/** Dollars a million, and what the paid plan includes each month. */
const PAID = {
  base: 5,
  worker_requests: { price: 0.3, included: 10e6 },
  do_requests: { price: 0.15, included: 1e6 },
  do_rows_written: { price: 1, included: 50e6 },
  d1_rows_written: { price: 1, included: 50e6 },
  gb_seconds: { price: 12.5, included: 400_000 },
} as const;

const FREE_A_DAY = {
  worker_requests: 100_000,
  do_requests: 100_000,
  do_rows_written: 100_000,
  d1_rows_written: 100_000,
  gb_seconds: 13_000,
};

/** How many agents the free plan carries: the first daily allowance to run out decides. */
export function freePlanAgents(day: AgentDay): number {
  const use = { ...day, gb_seconds: day.do_requests * GB_SECONDS_PER_EVENT };
  const carried = Object.entries(FREE_A_DAY).map(([name, allowance]) => {
    const used = use[name as keyof typeof use];
    return used > 0 ? allowance / used : Number.POSITIVE_INFINITY;
  });
  return Math.floor(Math.min(...carried));
}

/** Dollars a month for a fleet on the paid plan. */
export function dollarsAMonth(day: AgentDay, agents: number): number {
  const monthly = (daily: number) => daily * DAYS * agents;
  const cost = (use: number, { price, included }: { price: number; included: number }) =>
    (Math.max(0, use - included) / 1e6) * price;
  return (
    PAID.base +
    cost(monthly(day.worker_requests), PAID.worker_requests) +
    cost(monthly(day.do_requests), PAID.do_requests) +
    cost(monthly(day.do_rows_written), PAID.do_rows_written) +
    cost(monthly(day.d1_rows_written), PAID.d1_rows_written) +
    cost(monthly(day.do_requests) * GB_SECONDS_PER_EVENT, PAID.gb_seconds)
  );
}

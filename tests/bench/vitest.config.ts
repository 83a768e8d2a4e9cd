// The counting half of `npm run bench`: the real Worker in workerd, its rows and requests counted by the database itself.
import worker from "../worker/vitest.config.ts";

export default async () => {
  const config = await worker();
  return { ...config, test: { ...config.test, name: "bench", include: ["tests/bench/**/*.count.ts"], testTimeout: 300_000 } };
};

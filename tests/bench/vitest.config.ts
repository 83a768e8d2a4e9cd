// The counting half of `npm run bench`: the real Worker in workerd, its rows and requests counted by the database itself.
import type { ConfigEnv, ViteUserConfig } from "vitest/config";
import worker from "../worker/vitest.config.ts";

export default async (env: ConfigEnv): Promise<ViteUserConfig> => {
  const config: ViteUserConfig = await worker(env);
  return { ...config, test: { ...config.test, name: "bench", include: ["tests/bench/**/*.count.ts"], testTimeout: 300_000 } };
};

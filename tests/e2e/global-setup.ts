// The suites start what a clone would start: the built dashboard and the built agent.
import { ensureBuilt } from "../../worker/ops/builds.ts";

export default async function setup(): Promise<void> {
  await Promise.all([ensureBuilt("web"), ensureBuilt("agent")]);
}

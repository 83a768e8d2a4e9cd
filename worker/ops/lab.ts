// `npm run lab`: every measurement against counted truth in a network of namespaces, at full size (root, Linux; half an hour).
// LAB_SEED=<n> draws the same random settings again; `-- ping` runs one file. The short form is the last stage of `npm test`.
import { ensureBuilt } from "./builds.ts";
import { OpsError, report } from "./ops-error.ts";
import { listSkipped, runTests } from "./test-run.ts";

try {
  // What offices run is the single file, so that is what is measured.
  await ensureBuilt("agent");
  const run = await runTests("tests in the network lab, full size", ["lab"], process.argv.slice(2), { LAB_FULL: "1" });
  listSkipped(run.report);
  if (run.report.passed === 0 && run.good) throw new OpsError("No test ran; the reasons are above.");
  process.exit(run.good ? 0 : 1);
} catch (error) {
  process.exit(report(error));
}

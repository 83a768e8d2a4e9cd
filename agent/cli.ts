#!/usr/bin/env node
// The agent's program.
import { restartSmall } from "./small-process.ts";

// Before anything else is loaded, for then it is loaded again.
if (process.argv[2] === "run") restartSmall();
const { main } = await import("./cli-program.ts");
await main();

// Adds items to the outbox and prints each number it was given, until it is killed.
import { Outbox } from "../../../agent/outbox.ts";

const outbox = new Outbox(process.argv[2] ?? "");
for (let i = 0; ; i++) process.stdout.write(`${outbox.add("result", { i })}\n`);

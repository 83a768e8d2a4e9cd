// Zod compiles parsers with `new Function`, which the page's policy forbids. Imported before any schema is built,
// this keeps Zod from trying (a try is refused, but shows as a violation in the console).
import { config } from "zod";

config({ jitless: true });

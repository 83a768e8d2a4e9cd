// The program's version: fixed into the bundle at build time, read from package.json when run from the sources.
import { readFileSync } from "node:fs";

declare const STREAMSWARM_VERSION: string | undefined;

function fromPackage(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  const parsed: unknown = JSON.parse(text);
  return typeof parsed === "object" && parsed !== null && "version" in parsed && typeof parsed.version === "string"
    ? parsed.version
    : "0.0.0";
}

export const VERSION: string = typeof STREAMSWARM_VERSION === "string" ? STREAMSWARM_VERSION : fromPackage();

// The registry of probes: one line for each test type of the contract; a missing one does not compile.
import type { TestTypeName } from "#contract/test-types/index";
import { ping } from "./ping.ts";
import type { Probe } from "./probe.ts";

export const PROBES: { readonly [Type in TestTypeName]: Probe<Type> } = { ping };

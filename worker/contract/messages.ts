// How validation speaks: short, in the same voice everywhere, for the dashboard, the API and the command line alike.
import { z } from "zod";

const NAMES: Record<string, string> = {
  int: "a whole number",
  string: "text",
  record: "an object",
  array: "a list",
  boolean: "true or false",
};

const named = (expected: string) => NAMES[expected] ?? (expected === "object" ? "an object" : `a ${expected}`);

z.config({
  customError: (issue) => {
    switch (issue.code) {
      case "invalid_type":
        return issue.input === undefined ? "is missing" : `must be ${named(issue.expected)}`;
      case "too_small":
        return issue.origin === "string" ? `must have at least ${issue.minimum} characters` : `must be at least ${issue.minimum}`;
      case "too_big":
        if (issue.origin === "string") return `must have at most ${issue.maximum} characters`;
        return issue.origin === "array" ? `must have at most ${issue.maximum} entries` : `must be at most ${issue.maximum}`;
      case "invalid_value":
        return `must be one of: ${issue.values.map(String).join(", ")}`;
      default:
        return undefined;
    }
  },
});

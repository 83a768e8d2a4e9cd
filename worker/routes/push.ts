// Telling clients that something concerns them.
import { clientObject, type Env } from "../env.ts";
import { slices } from "../slices.ts";

/** As much of a request as is needed to reach clients and to say on whose behalf. */
interface Asked {
  readonly env: Env;
  readonly req: { readonly path: string };
}

const PARALLEL = 6;

/** Calls every client's object, a few at a time; one that fails does not stop the rest. */
export async function eachClient(context: Asked, ids: Iterable<string>, call: (id: string) => Promise<unknown>): Promise<void> {
  for (const some of slices([...new Set(ids)], PARALLEL)) {
    const outcomes = await Promise.allSettled(some.map(call));
    for (const outcome of outcomes) {
      if (outcome.status === "rejected")
        console.error(JSON.stringify({ event: "push_failed", path: context.req.path, error: String(outcome.reason) }));
    }
  }
}

/** Tells clients that their instruction is new. */
export async function push(context: Asked, ids: Iterable<string>): Promise<void> {
  await eachClient(context, ids, (id) => clientObject(context.env, id).instruct());
}

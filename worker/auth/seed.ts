// What the environment asks for on a first start: the first admin, enrolment tokens, the starter test. Idempotent.
import { TEST_TYPES } from "#contract/test-types/index";
import { type Env, isLocal } from "../env.ts";
import { newId, sha256 } from "../ids.ts";
import { passwords } from "../objects/password-object.ts";
import { ProblemError } from "../problem-error.ts";
import { isFirstStart, noteFirstStart } from "../store/config.ts";
import { type Database, database } from "../store/database.ts";
import { bumpRevision, findTest, insertTest } from "../store/tests.ts";
import { insertToken } from "../store/tokens.ts";
import { anyUser, insertUser } from "../store/users.ts";

/** Clients that `npm start` starts on its own machine carry this tag; the starter test selects it. */
export const LOCAL_TAG = { streamswarm: "local" };

let seeded: Promise<void> | undefined;

/** Runs once per isolate; a failure (D1 away) is tried again with the next request. */
export function seedFromEnvironment(env: Env): Promise<void> {
  seeded ??= seed(env).catch((error) => {
    seeded = undefined;
    throw error;
  });
  return seeded;
}

/** What `seedFromEnvironment` does once per isolate. */
export async function seed(env: Env): Promise<void> {
  const db = database(env.DB);
  const first = await isFirstStart(db);
  if (first && env.ENROLMENT_TOKEN) await seedEnrolment(db, env.ENROLMENT_TOKEN, "From the environment (ENROLMENT_TOKEN)");
  if (isLocal(env) && env.LOCAL_AGENT_TOKEN) await seedEnrolment(db, env.LOCAL_AGENT_TOKEN, "The agent that npm start runs");
  if (env.ADMIN_USERNAME && env.ADMIN_PASSWORD && !(await anyUser(db)))
    await createAdmin(env, db, env.ADMIN_USERNAME, env.ADMIN_PASSWORD);
  if (first && isLocal(env) && env.STARTER_DESTINATION) await seedStarter(db, env.STARTER_DESTINATION);
  // Written last: a start that was cut short is a first one still. What people remove afterwards stays removed.
  if (first) await noteFirstStart(db, Date.now());
}

async function seedEnrolment(db: Database, secret: string, name: string): Promise<void> {
  // One that was revoked stays so: it is known by its hash, and not made again.
  await insertToken(db, {
    id: newId(),
    kind: "enrolment",
    name,
    hash: await sha256(secret),
    user_id: null,
    expires_at: null,
    max_uses: null,
    site: null,
    tags: {},
    scopes: [],
    created_at: Date.now(),
  });
}

/** Makes the first account. The caller has checked that there is none. */
export async function createAdmin(env: Env, db: Database, username: string, password: string) {
  const password_hash = await passwords(env, username).hash(password);
  const row = await insertUser(db, { id: newId(), username, password_hash, role: "admin", sites: null, created_at: Date.now() });
  if (row === undefined) throw new ProblemError("already_set_up", "There is an account of that name already. Sign in.");
  return row;
}

const STARTER_ID = "starter-ping";

async function seedStarter(db: Database, destination: string): Promise<void> {
  if ((await findTest(db, STARTER_ID)) !== undefined) return;
  const { ping } = TEST_TYPES;
  const name = destination.startsWith("127.") ? "This machine" : "Default gateway";
  const row = {
    id: STARTER_ID,
    name,
    type: ping.type,
    destination,
    interval_s: ping.default_interval_s,
    params: ping.params.parse({ count: 5 }),
    schedule: null,
    enabled: true,
    selector: { tags: LOCAL_TAG },
    thresholds: {},
  };
  const now = Date.now();
  await insertTest(db, row, [], now);
  await bumpRevision(db, now);
}

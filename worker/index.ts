// Entry: requests go to the app; the objects are exported for the runtime.
import { app } from "./app.ts";
import type { Env } from "./env.ts";

export { ClientObject } from "./objects/client-object.ts";
export { FleetObject } from "./objects/fleet-object.ts";
export { PasswordObject } from "./objects/password-object.ts";

export default { fetch: app.fetch } satisfies ExportedHandler<Env>;

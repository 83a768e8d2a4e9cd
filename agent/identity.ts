// Who this installation is: a random id, and the client id and token its server gave it.
import { randomUUID } from "node:crypto";
import { chmodSync, existsSync, renameSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { type Instruction, instructionSchema } from "#contract/wire";
import { makePrivateDir, readIfThere, writeAtomically } from "./files.ts";

const identitySchema = z.object({
  install_id: z.string().min(8),
  /** The server the client id and token belong to. */
  server: z.string().nullable(),
  client_id: z.string().nullable(),
  token: z.string().nullable(),
  /** Hash of the enrolment token this client registered with: what ended by people's hand is not begun again with the same one. */
  enrolled_with: z.string().nullable().default(null),
});
export type Identity = z.infer<typeof identitySchema>;

/** Where the state lives when nobody says otherwise. */
export function defaultStateDir(): string {
  const home = os.homedir();
  if (process.platform === "win32") return join(process.env.ProgramData ?? home, "streamswarm-agent");
  if (process.platform === "darwin") return join(home, "Library", "Application Support", "streamswarm-agent");
  if (process.platform === "linux" && process.getuid?.() === 0) return "/var/lib/streamswarm-agent";
  return join(process.env.XDG_STATE_HOME ?? join(home, ".local", "state"), "streamswarm-agent");
}

const fresh = (): Identity => ({ install_id: randomUUID(), server: null, client_id: null, token: null, enrolled_with: null });

/** The state directory: identity and last instruction. Directory 0700, files 0600. */
export class StateDir {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Makes the directory; throws what the system says when it cannot. */
  prepare(): void {
    makePrivateDir(this.path);
    if (process.platform !== "win32") chmodSync(this.path, 0o700);
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** The stored identity without creating one. */
  peekIdentity(): Identity | undefined {
    return this.#parse("identity.json", identitySchema);
  }

  /** The stored identity, else a new one, which is stored at once. An unreadable one is moved aside. */
  loadIdentity(): Identity {
    const known = this.peekIdentity();
    if (known !== undefined) return known;
    this.#moveAside("identity.json");
    const created = fresh();
    this.saveIdentity(created);
    return created;
  }

  saveIdentity(identity: Identity): void {
    writeAtomically(this.file("identity.json"), `${JSON.stringify(identity, null, 2)}\n`);
  }

  /** The instruction held last, so that an agent measures on while its server is away. */
  loadInstruction(): Instruction | undefined {
    return this.#parse("instruction.json", instructionSchema);
  }

  saveInstruction(instruction: Instruction): void {
    writeAtomically(this.file("instruction.json"), `${JSON.stringify(instruction)}\n`);
  }

  #parse<Schema extends z.ZodType>(name: string, schema: Schema): z.output<Schema> | undefined {
    const text = readIfThere(this.file(name));
    if (text === undefined) return undefined;
    try {
      return schema.safeParse(JSON.parse(text)).data;
    } catch {
      // Not JSON: the same as not there; loadIdentity keeps the file for whoever wants to look.
      return undefined;
    }
  }

  #moveAside(name: string): void {
    if (existsSync(this.file(name))) renameSync(this.file(name), `${this.file(name)}.unreadable-${Date.now()}`);
  }
}

// Who this installation is: a random id, and the client id and token its server gave it.
import { randomUUID } from "node:crypto";
import { chmodSync, existsSync, renameSync, statSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { type Instruction, instructionSchema } from "#contract/wire";
import { FatalError } from "./exit.ts";
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
  /** What the files should hold, by name. */
  readonly #texts = new Map<string, string>();

  constructor(path: string) {
    this.path = path;
  }

  /** Makes the directory; throws what the system says when it cannot. */
  prepare(): void {
    makePrivateDir(this.path);
    // Not where it is right already: a read-only file system lets nobody say so again.
    if (process.platform !== "win32" && (statSync(this.path).mode & 0o777) !== 0o700) chmodSync(this.path, 0o700);
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
    try {
      const known = this.peekIdentity();
      if (known !== undefined) return known;
      const created = fresh();
      this.#moveAside("identity.json");
      this.saveIdentity(created);
      return created;
    } catch (error) {
      throw new FatalError(
        `the identity of this agent cannot be kept in ${this.path}: ${(error as Error).message}. ` +
          "Nothing was registered, since every start would make another client. Make room there, or name another --state directory",
      );
    }
  }

  saveIdentity(identity: Identity): void {
    this.#write("identity.json", `${JSON.stringify(identity, null, 2)}\n`);
  }

  /** The instruction held last, so that an agent measures on while its server is away. */
  loadInstruction(): Instruction | undefined {
    return this.#parse("instruction.json", instructionSchema);
  }

  saveInstruction(instruction: Instruction): void {
    this.#write("instruction.json", `${JSON.stringify(instruction)}\n`);
  }

  /** Writes again what could not be written, or was removed. Throws what the system says. */
  restore(): void {
    for (const [name, text] of this.#texts) if (readIfThere(this.file(name)) !== text) this.#write(name, text);
  }

  #write(name: string, text: string): void {
    this.#texts.set(name, text);
    writeAtomically(this.file(name), text);
  }

  #parse<Schema extends z.ZodType>(name: string, schema: Schema): z.output<Schema> | undefined {
    const text = readIfThere(this.file(name));
    if (text === undefined) return undefined;
    try {
      const known = schema.safeParse(JSON.parse(text)).data;
      if (known !== undefined) this.#texts.set(name, text);
      return known;
    } catch {
      // Not JSON: the same as not there; loadIdentity keeps the file for whoever wants to look.
      return undefined;
    }
  }

  #moveAside(name: string): void {
    if (existsSync(this.file(name))) renameSync(this.file(name), `${this.file(name)}.unreadable-${Date.now()}`);
  }
}

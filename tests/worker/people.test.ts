// Signing in and out, and the first account.
import { beforeAll, describe, expect, test, vi } from "vitest";
import type { Session, User } from "#contract/api";
import { ADMIN, Asker, asAdmin, asPerson, byText, cookieOf, fetchEdge, problemOf } from "./edge.ts";
import { edgeEnv } from "./inside.ts";

const stranger = new Asker();
const signIn = (username: string, password: string, headers: Record<string, string> = {}) =>
  stranger.send("POST", "/api/v1/session", { username, password }, headers);
const withCookie = (response: Response) => new Asker({ cookie: cookieOf(response) });

describe("the first account", () => {
  const setup = (change: object = {}) =>
    stranger.send("POST", "/api/v1/setup", { code: "setup-code-for-tests", ...ADMIN, ...change });

  test("needs the code of the setup link and a decent password, works once, and then never again", async () => {
    expect(await stranger.get("/api/v1/setup")).toEqual({ needed: true });
    expect(await problemOf(await setup({ code: "guess" }))).toMatchObject({ status: 403, code: "forbidden" });
    expect(await problemOf(await setup({ password: "short" }))).toMatchObject({ status: 422, errors: [{ path: "password" }] });
    expect(await stranger.get("/api/v1/setup")).toEqual({ needed: true });
    const made = await setup();
    expect(made.status).toBe(201);
    expect(await withCookie(made).get<Session>("/api/v1/session")).toMatchObject({
      user: { username: "root", role: "admin", sites: null },
      bypass: false,
    });
    expect(await stranger.get("/api/v1/setup")).toEqual({ needed: false });
    for (const change of [{}, { username: "second" }, { code: "guess" }]) {
      expect(await problemOf(await setup(change))).toMatchObject({ status: 409, code: "already_set_up" });
    }
  });
});

describe("with an account", () => {
  let admin: Asker;
  beforeAll(async () => {
    admin = await asAdmin();
  });

  test("the session cookie is HttpOnly, SameSite=Lax, for the whole site, and Secure on https only", async () => {
    const plain = (await signIn(ADMIN.username, ADMIN.password)).headers.get("set-cookie") ?? "";
    for (const flag of ["HttpOnly", "SameSite=Lax", "Path=/"]) expect(plain).toContain(flag);
    expect(plain).not.toContain("Secure");
    const secure = await fetchEdge("https://streamswarm.example/api/v1/session", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(ADMIN),
    });
    expect(secure.headers.get("set-cookie")).toContain("Secure");
  });

  test("a wrong password and an unknown name are told apart by nothing", async () => {
    const [wrong, unknown] = [await signIn("root", "wrong password"), await signIn("nobody", "wrong password")];
    expect([wrong.status, unknown.status]).toEqual([401, 401]);
    expect(await wrong.text()).toBe(await unknown.text());
    expect([wrong.headers.get("set-cookie"), unknown.headers.get("set-cookie")]).toEqual([null, null]);
  });

  test.each(["roo%", "r__t", "%", "root' OR '1'='1", 'root"--', "root\u0000"])("the name %j finds nobody", async (username) => {
    expect((await signIn(username, ADMIN.password)).status).toBe(401);
  });

  test("letters' case and blanks around a name do not matter, those of the password do", async () => {
    expect((await signIn(" ROOT ", ADMIN.password)).status).toBe(200);
    expect((await signIn("root", ADMIN.password.toUpperCase())).status).toBe(401);
    expect((await signIn("root", `${ADMIN.password} `)).status).toBe(401);
  });

  test("after ten wrong passwords the next has to wait, right or wrong; others do not", async () => {
    const person = await asPerson(admin, "viewer");
    const at = { "cf-connecting-ip": "203.0.113.9" };
    const tries = Array.from({ length: 10 }, () => signIn(person.username, "wrong password", at));
    expect(new Set((await Promise.all(tries)).map((response) => response.status))).toEqual(new Set([401]));
    const waits = await signIn(person.username, person.password, at);
    expect(await problemOf(waits.clone())).toMatchObject({ status: 429, code: "throttled" });
    expect(Number(waits.headers.get("retry-after"))).toBeGreaterThan(60);
    expect((await signIn(person.username, person.password, { "cf-connecting-ip": "203.0.113.10" })).status).toBe(200);
    expect((await signIn(ADMIN.username, ADMIN.password, at)).status).toBe(200);
    await person.get("/api/v1/session");
  });

  test("signing out ends this session and no other", async () => {
    const [here, there] = [await asAdmin(), await asAdmin()];
    const out = await here.send("DELETE", "/api/v1/session");
    expect(out.status).toBe(204);
    expect(cookieOf(out)).toBe("streamswarm_session=");
    expect(await problemOf(await here.send("GET", "/api/v1/session"))).toMatchObject({ status: 401, code: "session_expired" });
    expect(await there.get("/api/v1/session")).toMatchObject({ user: { username: "root" } });
  });

  test("no cookie, a forged, an altered, an unsigned and an expired one: 401", async () => {
    expect(await problemOf(await stranger.send("GET", "/api/v1/clients"))).toMatchObject({
      status: 401,
      code: "unauthenticated",
    });
    const person = await asPerson(admin, "viewer");
    const [head, body, mac] = (person.headers.cookie ?? "").replace("streamswarm_session=", "").split(".");
    const none = btoa('{"alg":"none"}').replaceAll("=", "");
    const stolen = `${head}.${btoa('{"sid":"x","iss":"streamswarm"}').replaceAll("=", "")}.${mac}`;
    for (const token of ["x", "a.b.c", `${none}.${body}.`, `${head}.${body}.${"A".repeat(43)}`, stolen]) {
      const reply = await new Asker({ cookie: `streamswarm_session=${token}` }).send("GET", "/api/v1/clients");
      expect(await problemOf(reply)).toMatchObject({ status: 401, code: "session_expired" });
    }
    await edgeEnv.DB.prepare("UPDATE session SET expires_at = ? WHERE user_id = ?")
      .bind(Date.now() - 1, person.id)
      .run();
    expect(await problemOf(await person.send("GET", "/api/v1/clients"))).toMatchObject({ status: 401, code: "session_expired" });
  });

  test("a session ends by itself after two weeks", async () => {
    const person = await asPerson(admin, "viewer");
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 15 * 86_400_000 });
    try {
      expect((await person.send("GET", "/api/v1/session")).status).toBe(401);
    } finally {
      vi.useRealTimers();
    }
    expect((await person.send("GET", "/api/v1/session")).status).toBe(200);
  });

  test("a person who is disabled, deleted, or gets a new password loses access at once; API tokens too", async () => {
    const changes: [string, string, object | undefined][] = [
      ["PATCH", "disabled", { disabled: true }],
      ["DELETE", "deleted", undefined],
      ["PATCH", "password", { password: "another long password" }],
    ];
    for (const [method, name, body] of changes) {
      const person = await asPerson(admin, "user");
      const { secret } = await person.post<{ secret: string }>("/api/v1/tokens", { kind: "api", name: "script" });
      const script = new Asker({ authorization: `Bearer ${secret}` });
      await script.get("/api/v1/clients");
      expect((await admin.send(method, `/api/v1/users/${person.id}`, body)).status).toBeLessThan(300);
      expect([name, (await person.send("GET", "/api/v1/clients")).status]).toEqual([name, 401]);
      const token = (await script.send("GET", "/api/v1/clients")).status;
      expect([name, token]).toEqual([name, name === "password" ? 200 : 401]);
      expect([name, (await signIn(person.username, person.password)).status]).toEqual([name, 401]);
    }
  });

  test("a change of role counts from the next request on", async () => {
    const person = await asPerson(admin, "admin");
    expect(await person.get<{ items: User[] }>("/api/v1/users")).toHaveProperty("items");
    await admin.send("PATCH", `/api/v1/users/${person.id}`, { role: "viewer" });
    expect((await person.send("GET", "/api/v1/users")).status).toBe(403);
  });

  test("the last admin can neither be deleted, disabled nor made less", async () => {
    const { user } = await admin.get<Session>("/api/v1/session");
    const tries: [string, object | undefined][] = [
      ["DELETE", undefined],
      ["PATCH", { disabled: true }],
      ["PATCH", { role: "user" }],
    ];
    for (const [method, body] of tries) {
      expect(await problemOf(await admin.send(method, `/api/v1/users/${user.id}`, body))).toMatchObject({
        status: 409,
        code: "conflict",
      });
    }
    expect((await admin.send("PATCH", `/api/v1/users/${user.id}`, { role: "admin" })).status).toBe(200);
    const second = await asPerson(admin, "admin");
    expect((await second.send("DELETE", `/api/v1/users/${second.id}`)).status).toBe(204);
  });

  test("a user name is taken once, in any case; bad fields are named", async () => {
    const person = await asPerson(admin, "viewer");
    const again = { username: person.username.toUpperCase(), password: "a long enough password", role: "viewer" };
    expect(await problemOf(await admin.send("POST", "/api/v1/users", again))).toMatchObject({
      status: 409,
      errors: [{ path: "username" }],
    });
    const bad = await admin.send("POST", "/api/v1/users", { username: "a b", password: "short", role: "king", x: 1 });
    const paths = (await problemOf(bad)).errors.map(({ path }) => path).sort(byText);
    expect(paths).toEqual(["password", "role", "username", "x"]);
  });

  test("of two who take one name at once, one has it; nothing of either password is logged", async () => {
    const spies = (["error", "warn", "log", "info"] as const).map((level) => vi.spyOn(console, level));
    try {
      for (let pair = 0; pair < 3; pair++) {
        const username = `twin-${crypto.randomUUID()}`;
        const take = (name: string) =>
          admin.send("POST", "/api/v1/users", { username: name, password: "a long enough password", role: "viewer" });
        const replies = await Promise.all([take(username), take(pair === 0 ? username : username.toUpperCase())]);
        expect(replies.map(({ status }) => status).sort((a, b) => a - b)).toEqual([201, 409]);
        const refusal = replies.find(({ status }) => status === 409) as Response;
        expect(await problemOf(refusal)).toMatchObject({ code: "conflict", errors: [{ path: "username", message: "is taken" }] });
      }
      const logged = spies.flatMap((spy) => spy.mock.calls.flat().map(String)).join("\n");
      expect(logged).not.toContain("scrypt$");
      expect(logged).not.toContain("a long enough password");
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
  });

  test("no answer of the people's API shows a password or its hash", async () => {
    const person = await asPerson(admin, "viewer");
    const text = JSON.stringify([await admin.get("/api/v1/users"), await person.get("/api/v1/session")]);
    expect(text).toContain(person.username);
    expect(text).not.toMatch(/scrypt|password/);
  });
});

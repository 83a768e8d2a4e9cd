// Asks one HTTP question from the namespace it runs in and prints the answer as JSON: `node ask.mjs URL INIT`.
const [, , url = "", init = "{}"] = process.argv;
const reply = await fetch(url, { ...JSON.parse(init), signal: AbortSignal.timeout(20_000) });
const cookie = reply.headers.get("set-cookie");
process.stdout.write(JSON.stringify({ status: reply.status, cookie, body: await reply.text() }));

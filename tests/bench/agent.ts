// What the agent takes from its host: processor time with its children, memory, processes. Linux only: read from /proc.
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { AgentProcess } from "../support/agent-process.ts";
import { ADMIN, Api } from "../support/api.ts";
import { Instance } from "../support/instance.ts";
import type { Report } from "./run.ts";

const TESTS = 10;
const INTERVAL_S = 30;
const WARM_UP_S = 15;
const MEASURED_S = 60;
/** USER_HZ: the unit of times in /proc/PID/stat on every Linux that Node runs on. */
const TICKS_PER_S = 100;

/** User and system time of a process and of its children that ended, seconds. */
async function cpuSeconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8");
  // Fields after the command name, which may hold spaces: state is the first of them; 14 to 17 of proc_pid_stat(5) are times.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_S;
}

async function rssMib(pid: number): Promise<number> {
  const kib = /^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) / 1024;
}

/** Ten ping tests of 20 packets every 30 s on loopback, nobody watching. */
export async function measureAgent(): Promise<Report> {
  if (process.platform !== "linux") return { cpu_pct: null, rss_mib: null, reason: "read from /proc, which only Linux has" };
  const env = { ADMIN_USERNAME: ADMIN.username, ADMIN_PASSWORD: ADMIN.password, STREAMSWARM_LOCAL_AGENT: "0" };
  const instance = await Instance.start({ env });
  let agent: AgentProcess | undefined;
  try {
    const api = await Api.signIn(instance.url);
    agent = new AgentProcess({ server: `http://127.0.0.1:${instance.port}`, token: await api.enrolmentToken(), name: "bench" });
    await agent.connected();
    for (let n = 1; n <= TESTS; n++) {
      const test = { name: `loopback ${n}`, type: "ping", destination: `127.0.0.${n}`, interval_s: INTERVAL_S } as const;
      await api.createTest({ ...test, selector: { all: true } });
    }
    await delay(WARM_UP_S * 1000);
    const [before, rss] = [await cpuSeconds(agent.pid), await rssMib(agent.pid)];
    await delay(MEASURED_S * 1000);
    const used = (await cpuSeconds(agent.pid)) - before;
    const cpu_pct = Number(((used / MEASURED_S) * 100).toFixed(2));
    return {
      tests: TESTS,
      interval_s: INTERVAL_S,
      cpu_pct,
      rss_mib: Number((await rssMib(agent.pid)).toFixed(1)),
      rss_mib_before: Number(rss.toFixed(1)),
    };
  } finally {
    await agent?.dispose();
    await instance.dispose();
  }
}

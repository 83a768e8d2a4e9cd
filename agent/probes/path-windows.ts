// Paths on Windows through .NET's Ping class with a rising TTL, after Microsoft's documentation; not tried on Windows. Without
// PowerShell tracert is read, of which only numbers and addresses count, since its words are in the system's language.
import { findTool } from "../exec.ts";
import { parseTraceroute, tracerouteReader } from "../parsers/traceroute.ts";
import type { PathTool, SweepRequest } from "./path-tool.ts";

/**
 * One sweep as a script that prints ` 3  10.0.0.1  20.1 ms` or ` 3  *` for each probe. Holds only our own numbers and a literal.
 * The class gives no time for an expired TTL, so a stopwatch does.
 */
export function windowsTraceScript(request: SweepRequest): string {
  return [
    "$ErrorActionPreference='Stop'",
    "[Threading.Thread]::CurrentThread.CurrentCulture=[Globalization.CultureInfo]::InvariantCulture",
    `$b=New-Object byte[] ${request.packet_size ?? 32}`,
    `$a=[Net.IPAddress]::Parse('${request.address}')`,
    "$p=New-Object Net.NetworkInformation.Ping",
    `for($t=${request.first};$t -le ${request.last};$t++){$end=$false;for($q=0;$q -lt ${request.queries};$q++){`,
    "$o=New-Object Net.NetworkInformation.PingOptions($t,$false);$w=[Diagnostics.Stopwatch]::StartNew()",
    `$r=$p.Send($a,${Math.round(request.timeout * 1000)},$b,$o);$ms=$w.Elapsed.TotalMilliseconds`,
    "$s=$r.Status.ToString()",
    "if($s -eq 'Success' -or $s -eq 'TtlExpired' -or $s -like 'Destination*'){",
    "$m='';if($s -like 'Destination*'){$m=' !H';$end=$true};if($s -eq 'Success'){$end=$true}",
    "'{0,2}  {1}  {2:0.000} ms{3}' -f $t,$r.Address,$ms,$m}else{'{0,2}  *' -f $t}}",
    "if($end){break}}",
  ].join("\n");
}

/** PowerShell, else tracert; undefined where neither is there. */
export function windowsTraceTool(): PathTool | undefined {
  const powershell = findTool("powershell");
  const tracert = findTool("tracert");
  const file = powershell ?? tracert;
  if (file === undefined) return undefined;
  return {
    version: powershell === undefined ? "tracert" : ".NET Ping",
    methods: ["icmp"],
    steady: () => true,
    flows: () => 1,
    command(request) {
      if (request.method !== "icmp")
        return { unsupported: `Windows cannot trace with ${request.method.toUpperCase()}; use icmp` };
      if (request.dscp !== undefined) return { unsupported: "Windows does not let a program set the DSCP of a probe" };
      if (powershell !== undefined) {
        const script = Buffer.from(windowsTraceScript(request), "utf16le").toString("base64");
        return { file: powershell, args: ["-NoLogo", "-NoProfile", "-NonInteractive", "-EncodedCommand", script] };
      }
      if (request.first > 1) return { unsupported: "tracert always begins at the first hop" };
      const wait = String(Math.round(request.timeout * 1000));
      return { file, args: ["-d", request.family === 4 ? "-4" : "-6", "-w", wait, "-h", String(request.last), request.address] };
    },
    parse: parseTraceroute,
    reader: tracerouteReader,
    startup_ms: powershell === undefined ? 0 : 4000,
  };
}

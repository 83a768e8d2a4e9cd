// Ping on Windows through .NET's Ping class in PowerShell, after Microsoft's documentation; not tried on Windows.
// ping.exe prints in the system's language; the class answers with the same status names everywhere, in whole milliseconds.
import { findTool } from "../exec.ts";
import { parsePingWindows } from "../parsers/ping-windows.ts";
import type { PingAdapter, PingCommand, PingRequest, PingTool } from "./ping-tool.ts";

async function find(): Promise<PingTool | undefined> {
  const file = findTool("powershell");
  return file === undefined ? undefined : { dialect: "windows", file, version: ".NET Ping" };
}

/** The script of one run: requests leave on an absolute schedule, replies are awaited together. Holds only our own numbers and a literal. */
export function windowsPingScript(request: PingRequest): string {
  const wait = Math.round(request.timeout * 1000);
  const gap = Math.round(request.interval * 1000);
  return [
    "$ErrorActionPreference='Stop'",
    "[Threading.Thread]::CurrentThread.CurrentCulture=[Globalization.CultureInfo]::InvariantCulture",
    `$b=New-Object byte[] ${request.packet_size}`,
    `$o=New-Object Net.NetworkInformation.PingOptions(128,$${request.df === true ? "true" : "false"})`,
    `$a=[Net.IPAddress]::Parse('${request.address}')`,
    "$w=[Diagnostics.Stopwatch]::StartNew()",
    "$t=@()",
    `for($i=0;$i -lt ${request.count};$i++){$d=$i*${gap}-$w.ElapsedMilliseconds;if($d -gt 0){Start-Sleep -Milliseconds $d}`,
    `$t+=(New-Object Net.NetworkInformation.Ping).SendPingAsync($a,${wait},$b,$o)}`,
    "try{[Threading.Tasks.Task]::WaitAll($t)}catch{}",
    "for($i=0;$i -lt $t.Count;$i++){if($t[$i].IsFaulted){@{index=$i;status='Faulted'}|ConvertTo-Json -Compress}else{$r=$t[$i].Result",
    "$l=0;if($r.Options){$l=$r.Options.Ttl}",
    "@{index=$i;status=$r.Status.ToString();rtt=$r.RoundtripTime;ttl=$l;from=[string]$r.Address;bytes=$r.Buffer.Length}|ConvertTo-Json -Compress}}",
    `'{"sent":'+$t.Count+'}'`,
  ].join("\n");
}

/** PowerShell with the script as UTF-16 in base64, so that no quoting rule applies to it. */
export function windowsPingCommand(tool: PingTool, request: PingRequest): PingCommand {
  if (request.dscp !== undefined) return { unsupported: "Windows does not let a program set the DSCP of a ping" };
  const script = Buffer.from(windowsPingScript(request), "utf16le").toString("base64");
  return { file: tool.file, args: ["-NoLogo", "-NoProfile", "-NonInteractive", "-EncodedCommand", script] };
}

export const pingWindows: PingAdapter = {
  find,
  command: windowsPingCommand,
  parse: (run) => parsePingWindows(run.stdout),
};

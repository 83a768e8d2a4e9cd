// Reads what `iw dev X link` and `iw dev X station dump` print, and /proc/net/wireless. Text in, values out.

export interface WifiLink {
  readonly bssid: string;
  readonly ssid: string | null;
  readonly freq_mhz: number | null;
}

export interface WifiStation {
  readonly bssid: string;
  readonly rssi_dbm: number | null;
  readonly tx_mbps: number | null;
  readonly rx_mbps: number | null;
  /** Since association. */
  readonly tx_packets: number | null;
  readonly tx_retries: number | null;
}

/**
 * The name as people wrote it: iw prints every byte that is no visible ASCII character as \xNN. A hidden network has no name or
 * one of zero bytes.
 */
export function ssidOf(escaped: string): string | null {
  const bytes: number[] = [];
  for (const match of escaped.matchAll(/\\x([0-9a-fA-F]{2})|([\s\S])/g)) {
    if (match[1] !== undefined) bytes.push(Number.parseInt(match[1], 16));
    else bytes.push(...Buffer.from(match[2] ?? "", "utf8"));
  }
  const name = Buffer.from(bytes.slice(0, 32))
    .toString("utf8")
    .replaceAll(/\p{Cc}/gu, "");
  return name === "" ? null : name;
}

const figure = (text: string, pattern: RegExp): number | null => {
  const digits = pattern.exec(text)?.[1];
  return digits === undefined ? null : Number(digits);
};

/** The access point this interface belongs to; null while it belongs to none, undefined for text iw does not print. */
export function parseIwLink(text: string): WifiLink | null | undefined {
  if (/^Not connected\.?$/m.test(text)) return null;
  const bssid = /^(?:Connected to|Joined IBSS) ([0-9a-f]{2}(?::[0-9a-f]{2}){5})\b/im.exec(text)?.[1];
  if (bssid === undefined) return undefined;
  const ssid = /^\s+SSID: (.*)$/m.exec(text)?.[1];
  return {
    bssid: bssid.toLowerCase(),
    ssid: ssid === undefined ? null : ssidOf(ssid),
    freq_mhz: figure(text, /^\s+freq: (\d+(?:\.\d+)?)$/m),
  };
}

/** Signals outside of this are a driver's way to say that it does not know (dBm). */
const plausible = (dbm: number | null): number | null => (dbm !== null && dbm < 0 && dbm > -120 ? dbm : null);

/** The stations of an interface; a client has one, its access point. */
export function parseIwStations(text: string): WifiStation[] {
  return text.split(/^(?=Station )/m).flatMap((block) => {
    const bssid = /^Station ([0-9a-f]{2}(?::[0-9a-f]{2}){5})\b/i.exec(block)?.[1];
    if (bssid === undefined) return [];
    return [
      {
        bssid: bssid.toLowerCase(),
        rssi_dbm: plausible(figure(block, /^\s+signal:\s+(-?\d+)\b/m)),
        tx_mbps: figure(block, /^\s+tx bitrate:\s*(\d+(?:\.\d+)?) MBit\/s/m),
        rx_mbps: figure(block, /^\s+rx bitrate:\s*(\d+(?:\.\d+)?) MBit\/s/m),
        tx_packets: figure(block, /^\s+tx packets:\s*(\d+)$/m),
        tx_retries: figure(block, /^\s+tx retries:\s*(\d+)$/m),
      },
    ];
  });
}

/** Signal by interface, dBm, from /proc/net/wireless; drivers that tell a quality without a unit are left out. */
export function parseProcWireless(text: string): ReadonlyMap<string, number> {
  const rows = text.matchAll(/^\s*([^\s:]+): +[0-9a-f]+ +-?\d+\.? +(-?\d+)\.?/gm);
  return new Map(
    [...rows].flatMap(([, name = "", level]) => {
      const dbm = plausible(Number(level));
      return dbm === null ? [] : [[name, dbm] as const];
    }),
  );
}

// What an interface is: kind, speed, duplex. Read when it appears and when its link changed.
import { readFile } from "node:fs/promises";
import { type HostFiles, wholeNumber } from "./linux-files.ts";
import { inTime } from "./patience.ts";

export type InterfaceKind = "ethernet" | "wifi" | "bridge" | "bond" | "vlan" | "tunnel" | "ppp" | "mobile" | "virtual";

export interface InterfaceFacts {
  /** null where the system does not tell. */
  readonly kind: InterfaceKind | null;
  readonly speed_mbps: number | null;
  readonly duplex: "full" | "half" | null;
}

/** Hardware types of if_arp.h. */
const ARPHRD_ETHER = "1";
const ARPHRD_PPP = "512";
/** IP in IP, IPv6 in IP, GRE, GRE over IPv6, and no link header at all: WireGuard, tun. */
const TUNNEL_TYPES = new Set(["768", "769", "776", "778", "823", "65534"]);
const DEVICE_KINDS: Readonly<Record<string, InterfaceKind>> = {
  wlan: "wifi",
  bridge: "bridge",
  bond: "bond",
  vlan: "vlan",
  ppp: "ppp",
  wwan: "mobile",
  wireguard: "tunnel",
  vxlan: "tunnel",
  geneve: "tunnel",
  gre: "tunnel",
  ip6gre: "tunnel",
  gretap: "tunnel",
};
/** Their drivers make a speed up (veth 10 Gbit/s, tun 10 Mbit/s): nothing is known of the line behind them. */
const NO_LINE: ReadonlySet<InterfaceKind | null> = new Set(["virtual", "tunnel", "ppp"] as const);

function kindOf(files: HostFiles, dir: string): InterfaceKind | null {
  const named = /^DEVTYPE=(\w+)$/m.exec(files.sys(`${dir}/uevent`))?.[1];
  const kind = named === undefined ? undefined : DEVICE_KINDS[named];
  if (kind !== undefined) return kind;
  if (files.hasSys(`${dir}/phy80211`) || files.hasSys(`${dir}/wireless`)) return "wifi";
  if (files.hasSys(`${dir}/bridge`)) return "bridge";
  if (files.hasSys(`${dir}/bonding`)) return "bond";
  const type = files.sys(`${dir}/type`);
  if (TUNNEL_TYPES.has(type) || files.hasSys(`${dir}/tun_flags`)) return "tunnel";
  if (type === ARPHRD_PPP) return "ppp";
  if (type !== ARPHRD_ETHER) return null;
  return files.hasSys(`${dir}/device`) ? "ethernet" : "virtual";
}

interface Known {
  readonly index: number | undefined;
  readonly kind: InterfaceKind | null;
  /** Changes with the link: a speed is agreed upon when the link comes up. */
  link: string | undefined;
  facts: InterfaceFacts;
  reading: Promise<void> | undefined;
}

export class InterfaceBook {
  readonly #files: HostFiles;
  readonly #known = new Map<string, Known>();

  constructor(files: HostFiles) {
    this.#files = files;
  }

  /** What an interface is; `index` tells it from another that had its name before. */
  kind(name: string, index: number | undefined): InterfaceKind | null {
    return this.#look(name, index).kind;
  }

  #look(name: string, index: number | undefined): Known {
    const known = this.#known.get(name);
    if (known !== undefined && known.index === index) return known;
    const kind = kindOf(this.#files, `class/net/${name}`);
    const fresh: Known = {
      index,
      kind,
      link: undefined,
      facts: { kind, speed_mbps: null, duplex: null },
      reading: undefined,
    };
    this.#known.set(name, fresh);
    return fresh;
  }

  /**
   * Speed and duplex too. The kernel asks the driver for them and waits for whoever configures interfaces meanwhile, so they
   * are read through promises, and again only after `link` (state and number of changes) changed.
   */
  async facts(name: string, index: number | undefined, link: string): Promise<InterfaceFacts> {
    const known = this.#look(name, index);
    if (known.link !== link && !NO_LINE.has(known.kind)) {
      known.reading ??= this.#agreed(name, known, link).finally(() => {
        known.reading = undefined;
      });
      await inTime(known.reading);
    }
    return known.link === link ? known.facts : { ...known.facts, speed_mbps: null, duplex: null };
  }

  async #agreed(name: string, known: Known, link: string): Promise<void> {
    const read = (attribute: string) =>
      readFile(this.#files.sysPath(`class/net/${name}/${attribute}`), "utf8").then(
        (text) => text.trim(),
        () => "",
      );
    const [speed, duplex] = await Promise.all([read("speed"), read("duplex")]);
    const mbps = wholeNumber(speed);
    // Links that are down answer -1 or an error, virtual machines' cards -1 and `unknown`.
    known.facts = {
      kind: known.kind,
      speed_mbps: mbps !== undefined && mbps > 0 ? mbps : null,
      duplex: duplex === "full" || duplex === "half" ? duplex : null,
    };
    known.link = link;
  }

  /** Forgets interfaces that are gone. */
  keep(names: ReadonlySet<string>): void {
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
  }
}

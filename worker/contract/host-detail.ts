// What a host sample holds besides scalars: per mount, disk, interface, sensor, drive, container and process. The agent's types
// and the dashboard's reading come from here. Every part may be missing, every figure null: an older agent knows less.
import { z } from "zod";

const name = z.string().max(300);
const figure = z.number().nullable();
const list = <Item extends z.ZodType>(item: Item) => z.array(item).max(256);

export const fileSystemSchema = z.object({
  mount: name,
  type: name,
  total_bytes: z.number(),
  used_bytes: z.number(),
  used_pct: z.number(),
  inodes_used_pct: figure,
  read_only: z.boolean().nullable().default(null),
});

export const diskSchema = z.object({
  name,
  read_iops: figure,
  write_iops: figure,
  read_bytes_sec: figure,
  write_bytes_sec: figure,
  read_await_ms: figure.default(null),
  write_await_ms: figure.default(null),
  util_pct: figure,
  temperature_c: figure.default(null),
});

export const interfaceSchema = z.object({
  name,
  /** ethernet, wifi, bridge, bond, vlan, tunnel, ppp, mobile, virtual; null where the system does not tell. */
  kind: name.nullable().default(null),
  state: name,
  mtu: figure.default(null),
  speed_mbps: figure.default(null),
  duplex: name.nullable().default(null),
  rx_bytes: figure,
  tx_bytes: figure,
  rx_bytes_sec: figure.default(null),
  tx_bytes_sec: figure.default(null),
  rx_packets_sec: figure.default(null),
  tx_packets_sec: figure.default(null),
  rx_errors_sec: figure.default(null),
  tx_errors_sec: figure.default(null),
  rx_drops_sec: figure.default(null),
  tx_drops_sec: figure.default(null),
});

export const sensorSchema = z.object({ chip: name, label: name, value: z.number() });

export const driveSchema = z.object({
  name,
  model: name.nullable(),
  /** SMART overall health; null where the drive does not tell. */
  passed: z.boolean().nullable(),
  temperature_c: figure,
  power_on_hours: figure,
  reallocated: figure,
  pending: figure,
  percent_used: figure,
});

export const processSchema = z.object({ pid: z.number(), name, cpu_pct: figure, rss_bytes: figure });

export const containerSchema = z.object({ id: name, name: name.nullable(), cpu_pct: figure, memory_bytes: figure });

export const wifiSchema = z.object({
  interface: name,
  ssid: name.nullable(),
  bssid: name.nullable(),
  rssi_dbm: figure,
  freq_mhz: figure,
  tx_mbps: figure,
  rx_mbps: figure,
});

/** One of gateway, resolver and server, as the self-test saw it. */
export const reachSchema = z.object({
  /** Address or name asked; null where there is none to ask. */
  target: name.nullable(),
  /** null while it was not asked. */
  reached: z.boolean().nullable(),
  ms: figure,
  /** How it answered, or why it did not. */
  how: name,
});

export const selfTestSchema = z.object({
  /** Epoch ms. */
  at: z.number(),
  gateway: reachSchema,
  resolver: reachSchema,
  edge: reachSchema,
  cut_off: z.boolean(),
  /** Epoch ms since when this host reaches nothing; null while it reaches something. */
  since: z.number().nullable(),
});

export const hostDetailSchema = z
  .object({
    file_systems: list(fileSystemSchema),
    disks: list(diskSchema),
    interfaces: list(interfaceSchema),
    primary_interface: name.nullable(),
    default_gateway: name.nullable(),
    cores: list(z.object({ name, busy_pct: figure })),
    temperatures: list(sensorSchema),
    fans: list(sensorSchema),
    power: list(sensorSchema),
    drives: list(driveSchema),
    wifi: list(wifiSchema),
    containers: list(containerSchema),
    processes: z.object({
      /** Seconds over which processor shares were taken. */
      over_s: figure,
      top_cpu: list(processSchema),
      top_memory: list(processSchema),
    }),
    self_test: selfTestSchema,
    /** Runs the agent left out since it started, by the reason: overlap, places, consent. */
    skipped: z.record(name, z.number()),
    /** Metric name to what this host lacks for it, in words, with the command that brings it where there is one. */
    needs: z.record(name, z.string().max(500)),
    inventory: z.record(name, z.unknown()),
  })
  .partial();
export type HostDetail = z.infer<typeof hostDetailSchema>;
export type FileSystem = z.infer<typeof fileSystemSchema>;
export type Disk = z.infer<typeof diskSchema>;
export type Interface = z.infer<typeof interfaceSchema>;
export type Sensor = z.infer<typeof sensorSchema>;
export type Drive = z.infer<typeof driveSchema>;
export type Process = z.infer<typeof processSchema>;
export type Container = z.infer<typeof containerSchema>;
export type Wifi = z.infer<typeof wifiSchema>;
export type Reach = z.infer<typeof reachSchema>;
export type SelfTest = z.infer<typeof selfTestSchema>;

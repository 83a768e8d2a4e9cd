// The parts of a host sample as tables; on a phone each row is a card. A part the host does not have is not shown.
import type { ComponentChildren } from "preact";
import type { Interface, Process } from "#contract/host-detail";
import type { HostReading } from "#contract/result";
import { Unknown } from "../parts/figure.tsx";
import { Meter } from "../parts/meter.tsx";
import { Quantity } from "../parts/quantity.tsx";
import { StatusMark } from "../parts/status.tsx";
import {
  containersOf,
  coresOf,
  disksOf,
  drivesOf,
  fileSystemsOf,
  interfacesOf,
  processesOf,
  type Rows,
  sensorsOf,
  wifiOf,
} from "../state/host-detail.ts";
import { plural } from "../verdict.ts";

interface PartProps {
  detail: HostReading["detail"];
}

/** A column: its heading and what stands there of one row. */
type Column<Item> = readonly [string, (item: Item) => ComponentChildren, "num"?];

interface PartTableProps<Item> {
  title: string;
  rows: Rows<Item>;
  columns: readonly Column<Item>[];
  testId: string;
  note?: string | null;
}

function PartTable<Item>({ title, rows, columns, testId, note }: PartTableProps<Item>) {
  if (rows.items.length === 0 && rows.left === 0) return null;
  return (
    <section class="host-part" data-testid={testId}>
      <h3>{title}</h3>
      <div class="table-scroll">
        <table class="table table-list table-host">
          <thead>
            <tr>
              {columns.map(([heading, , kind]) => (
                <th key={heading} scope="col" class={kind}>
                  {heading}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.items.map((item, index) => (
              <tr key={index}>
                {columns.map(([heading, cell, kind]) => (
                  <td key={heading} data-label={heading} class={kind}>
                    {cell(item)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {note && <p class="text-secondary small">{note}</p>}
      {rows.left > 0 && (
        <p class="text-secondary small">{plural(rows.left, "more entry", "more entries")} not shown, or not readable.</p>
      )}
    </section>
  );
}

const WHY = "Not known: this host does not report it";
const bytes = (value: number | null) => <Quantity value={value} unit="bytes" />;
const rate = (value: number | null) => <Quantity value={value} unit="bytes/s" />;
const each = (value: number | null) => <Quantity value={value} unit="1/s" />;
const share = (value: number | null, label: string) => <Meter value={value} label={label} why={WHY} />;
const word = (text: string | null) => (text ? <span class="long-word">{text}</span> : <Unknown why={WHY} />);
/** Two figures of one kind, the second after a stroke. */
const both = (first: ComponentChildren, second: ComponentChildren) => (
  <>
    {first} <span class="text-secondary">/</span> {second}
  </>
);

export const FileSystems = ({ detail }: PartProps) => (
  <PartTable
    title="File systems"
    testId="host-file-systems"
    rows={fileSystemsOf(detail)}
    columns={[
      ["Mounted at", ({ mount }) => word(mount)],
      ["Type", ({ type }) => word(type)],
      ["In use", ({ used_pct }) => share(used_pct, "In use")],
      ["Used / size", ({ used_bytes, total_bytes }) => both(bytes(used_bytes), bytes(total_bytes)), "num"],
      ["Inodes", ({ inodes_used_pct }) => share(inodes_used_pct, "Inodes in use")],
      [
        "Writable",
        ({ read_only }) =>
          read_only === null ? (
            <Unknown why={WHY} />
          ) : (
            <StatusMark tone={read_only ? "warn" : "ok"} word={read_only ? "read-only" : "yes"} />
          ),
      ],
    ]}
  />
);

const STATE_TONE: ReadonlyMap<string, "ok" | "none"> = new Map([["up", "ok"]]);

function speedText({ speed_mbps, duplex }: Interface): ComponentChildren {
  if (speed_mbps === null && duplex === null) return <Unknown why={WHY} />;
  return (
    <>
      {speed_mbps !== null && <Quantity value={speed_mbps} unit="Mbit/s" />} {duplex !== null && <span>{duplex}</span>}
    </>
  );
}

export function Interfaces({ detail }: PartProps) {
  const { primary, gateway, ...rows } = interfacesOf(detail);
  return (
    <PartTable
      title="Network interfaces"
      testId="host-interfaces"
      rows={rows}
      note={gateway === null ? null : `Its default gateway is ${gateway}.`}
      columns={[
        [
          "Interface",
          ({ name, kind }) => (
            <>
              <strong class="long-word">{name}</strong> {kind !== null && <span class="text-secondary">{kind}</span>}
              {name === primary && <span class="chip chip-small">default route</span>}
            </>
          ),
        ],
        ["State", ({ state }) => <StatusMark tone={STATE_TONE.get(state) ?? "none"} word={state} />],
        ["Speed", speedText],
        ["Receiving", ({ rx_bytes_sec }) => rate(rx_bytes_sec), "num"],
        ["Sending", ({ tx_bytes_sec }) => rate(tx_bytes_sec), "num"],
        ["Errors in / out", ({ rx_errors_sec, tx_errors_sec }) => both(each(rx_errors_sec), each(tx_errors_sec)), "num"],
        ["Drops in / out", ({ rx_drops_sec, tx_drops_sec }) => both(each(rx_drops_sec), each(tx_drops_sec)), "num"],
        ["MTU", ({ mtu }) => bytes(mtu), "num"],
      ]}
    />
  );
}

export const Wifi = ({ detail }: PartProps) => (
  <PartTable
    title="Wi-Fi"
    testId="host-wifi"
    rows={wifiOf(detail)}
    columns={[
      ["Interface", (one) => word(one.interface)],
      ["Network", ({ ssid }) => word(ssid)],
      ["Access point", ({ bssid }) => word(bssid)],
      ["Signal", ({ rssi_dbm }) => <Quantity value={rssi_dbm} unit="dBm" />, "num"],
      ["Frequency", ({ freq_mhz }) => <Quantity value={freq_mhz} unit="MHz" />, "num"],
      [
        "Sent / received at",
        ({ tx_mbps, rx_mbps }) => both(<Quantity value={tx_mbps} unit="Mbit/s" />, <Quantity value={rx_mbps} unit="Mbit/s" />),
        "num",
      ],
    ]}
  />
);

export const Disks = ({ detail }: PartProps) => (
  <PartTable
    title="Disks"
    testId="host-disks"
    rows={disksOf(detail)}
    columns={[
      ["Disk", ({ name }) => word(name)],
      ["Busy", ({ util_pct }) => share(util_pct, "Busy")],
      ["Reading", ({ read_bytes_sec }) => rate(read_bytes_sec), "num"],
      ["Writing", ({ write_bytes_sec }) => rate(write_bytes_sec), "num"],
      ["Reads / writes", ({ read_iops, write_iops }) => both(each(read_iops), each(write_iops)), "num"],
      [
        "A read / write takes",
        ({ read_await_ms, write_await_ms }) =>
          both(<Quantity value={read_await_ms} unit="ms" />, <Quantity value={write_await_ms} unit="ms" />),
        "num",
      ],
      ["Temperature", ({ temperature_c }) => <Quantity value={temperature_c} unit="°C" />, "num"],
    ]}
  />
);

export const Drives = ({ detail }: PartProps) => (
  <PartTable
    title="Drives by SMART"
    testId="host-drives"
    rows={drivesOf(detail)}
    columns={[
      [
        "Drive",
        ({ name, model }) => (
          <>
            <strong class="long-word">{name}</strong> <span class="text-secondary long-word">{model}</span>
          </>
        ),
      ],
      [
        "Health",
        ({ passed }) =>
          passed === null ? (
            <Unknown why={WHY} />
          ) : (
            <StatusMark tone={passed ? "ok" : "bad"} word={passed ? "passed" : "failed"} />
          ),
      ],
      ["Temperature", ({ temperature_c }) => <Quantity value={temperature_c} unit="°C" />, "num"],
      ["Running for", ({ power_on_hours }) => <Quantity value={power_on_hours} unit="h" />, "num"],
      [
        "Sectors replaced / pending",
        ({ reallocated, pending }) =>
          both(<Quantity value={reallocated} unit="count" />, <Quantity value={pending} unit="count" />),
        "num",
      ],
      ["Endurance used", ({ percent_used }) => share(percent_used, "Endurance used")],
    ]}
  />
);

export const Sensors = ({ detail }: PartProps) => (
  <PartTable
    title="Temperatures, fans and power"
    testId="host-sensors"
    rows={sensorsOf(detail)}
    columns={[
      ["Sensor", ({ label }) => word(label)],
      ["Chip", ({ chip }) => word(chip)],
      ["Now", ({ value, unit }) => <Quantity value={value} unit={unit} />, "num"],
    ]}
  />
);

export function Cores({ detail }: PartProps) {
  const { items, left } = coresOf(detail);
  if (items.length === 0) return null;
  return (
    <section class="host-part" data-testid="host-cores">
      <h3>Processor cores</h3>
      <ul class="core-list">
        {items.map(({ name, busy_pct }, index) => (
          <li key={index}>
            <span class="text-secondary long-word">{name}</span> {share(busy_pct, `${name} busy`)}
          </li>
        ))}
      </ul>
      {left > 0 && <p class="text-secondary small">{plural(left, "more core")} not shown.</p>}
    </section>
  );
}

const processColumns: readonly Column<Process>[] = [
  [
    "Process",
    ({ name, pid }) => (
      <>
        <strong class="long-word">{name}</strong> <span class="text-secondary">{pid}</span>
      </>
    ),
  ],
  ["CPU", ({ cpu_pct }) => <Quantity value={cpu_pct} unit="%" />, "num"],
  ["Memory", ({ rss_bytes }) => bytes(rss_bytes), "num"],
];

export function Processes({ detail }: PartProps) {
  const { overS, cpu, memory } = processesOf(detail);
  const over = overS === null ? "" : ` over ${Math.round(overS)} s`;
  return (
    <div class="host-pair">
      <PartTable title={`Busiest processes${over}`} testId="host-top-cpu" rows={cpu} columns={processColumns} />
      <PartTable title="Largest processes" testId="host-top-memory" rows={memory} columns={processColumns} />
    </div>
  );
}

export const Containers = ({ detail }: PartProps) => (
  <PartTable
    title="Containers"
    testId="host-containers"
    rows={containersOf(detail)}
    columns={[
      ["Container", ({ name, id }) => word(name ?? id)],
      ["CPU", ({ cpu_pct }) => <Quantity value={cpu_pct} unit="%" />, "num"],
      ["Memory", ({ memory_bytes }) => bytes(memory_bytes), "num"],
    ]}
  />
);

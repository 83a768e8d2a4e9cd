// A path as a table: one row per hop, silent ones too.
import { Fragment } from "preact";
import { formatText } from "../format.ts";
import { lossLevel } from "../loss.ts";
import { Figure, Unknown } from "../parts/figure.tsx";
import { Meter } from "../parts/meter.tsx";
import { changeText, type Hop, type HopAddress, type HopChange } from "./hop-table.ts";
import { SpreadBar } from "./spread-bar.tsx";

interface HopsProps {
  hops: readonly Hop[];
  changes: ReadonlyMap<number, readonly HopChange[]>;
}

const COLUMNS = 7;

export function Hops({ hops, changes }: HopsProps) {
  const longest = Math.max(0, ...hops.map(({ rttMax, rttMedian }) => rttMax ?? rttMedian ?? 0));
  return (
    <div class="table-scroll">
      <table class="table table-hops">
        <thead>
          <tr>
            <th scope="col" class="num">
              Hop
            </th>
            <th scope="col">Address</th>
            <th scope="col">Loss</th>
            <th scope="col" class="num wide-only">
              Min
            </th>
            <th scope="col" class="num">
              Median
            </th>
            <th scope="col" class="num wide-only">
              Max
            </th>
            <th scope="col" class="hop-bar">
              <span class="visually-hidden">Smallest to largest round trip</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {hops.map((hop) => (
            <Fragment key={hop.ttl}>
              {changes.get(hop.ttl)?.map((change) => (
                <tr key={changeText(change)} class="hop-change">
                  <td />
                  <td colSpan={COLUMNS - 1}>
                    <strong>Path changed here:</strong> <span class="long-word">{changeText(change)}</span>
                  </td>
                </tr>
              ))}
              {hop.silent ? <SilentRow hop={hop} /> : <HopRow hop={hop} longest={longest} />}
            </Fragment>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function SilentRow({ hop }: { hop: Hop }) {
  return (
    <tr class="hop-silent" data-ttl={hop.ttl}>
      <td class="num">{hop.ttl}</td>
      <td colSpan={COLUMNS - 1}>no answer</td>
    </tr>
  );
}

const rtt = (ms: number | null) => <Figure name="path_rtt_median" value={ms} />;

function HopRow({ hop, longest }: { hop: Hop; longest: number }) {
  const { ttl, addresses, rttMin, rttMedian, rttMax, notes } = hop;
  return (
    <tr data-ttl={ttl}>
      <td class="num">{ttl}</td>
      <td>
        {addresses.map((address) => (
          <Address key={address.address} {...address} />
        ))}
        {notes.length > 0 && <div class="text-secondary small">{notes.join(", ")}</div>}
      </td>
      <td class="hop-loss">
        <Loss hop={hop} />
      </td>
      <td class="num wide-only">{rtt(rttMin)}</td>
      <td class="num">{rtt(rttMedian)}</td>
      <td class="num wide-only">{rtt(rttMax)}</td>
      <td class="hop-bar">
        <SpreadBar
          low={rttMin}
          mid={rttMedian}
          high={rttMax}
          scale={longest}
          label={`${formatText("path_rtt_min", rttMin)} to ${formatText("path_rtt_min", rttMax)}`}
        />
      </td>
    </tr>
  );
}

/** Loss at a router on the way counts only when what lies behind it loses too; the agent says null where it does not. */
function Loss({ hop }: { hop: Hop }) {
  const counted = hop.sent === null || hop.received === null ? "" : `${hop.received} of ${hop.sent} probes answered`;
  if (hop.lossPct === null) return <Unknown why={`This is no loss of the path. ${counted}`.trim()} />;
  return (
    <span class={`loss-text-${lossLevel(hop.lossPct)}`} title={counted}>
      <Meter value={hop.lossPct} label="Loss" why="" scale="loss" />
    </span>
  );
}

function Address({ address, name, network }: HopAddress) {
  return (
    <div class="hop-address">
      <span class="long-word">{name ?? address}</span>{" "}
      <span class="text-secondary">{[name === null ? null : address, network].filter((part) => part !== null).join(" · ")}</span>
    </div>
  );
}

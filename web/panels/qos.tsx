// QoS: what each hop saw of traffic class and congestion bits, ECN at the destination, and how the classes fare.
import type { ComponentChildren } from "preact";
import type { Result } from "#contract/result";
import { MetricChart } from "../charts/metric-chart.tsx";
import { formatText } from "../format.ts";
import { lossLevel, lossTone } from "../loss.ts";
import { Figure, Unknown } from "../parts/figure.tsx";
import { Meter } from "../parts/meter.tsx";
import { Card } from "../parts/page.tsx";
import { StatusMark } from "../parts/status.tsx";
import { clockTime } from "../time.ts";
import { lineLegend } from "./legend.tsx";
import type { MainProps, Panel } from "./panel.ts";
import {
  type ClassFigures,
  changedAt,
  classesOf,
  classText,
  dscpText,
  ecnText,
  ecnVerdict,
  type MarkedHop,
  markedHops,
} from "./qos-words.ts";
import { SpreadBar } from "./spread-bar.tsx";

const SPREAD = ["qos_rtt_spread_ms"] as const;
const METRICS = [...SPREAD, "qos_loss_worst_pct"];

function Newest({ result }: { result: Result }) {
  if (markedHops(result).length === 0 && classesOf(result).length === 0 && result.status === "failed") return null;
  const time = clockTime(Date.parse(result.started_at));
  return (
    <>
      <Card title={`Class and congestion bits along the path, ${time}`}>
        <Says>{classText(result)}</Says>
        <Says>{ecnVerdict(result)}</Says>
        <Hops result={result} />
      </Card>
      <Card title={`Round trip and loss by class, ${time}`}>
        <Classes result={result} />
      </Card>
    </>
  );
}

function Says({ children: say }: { children: ReturnType<typeof classText> }) {
  if (say === null) return null;
  return (
    <p class="panel-say">
      <StatusMark tone={say.tone} word={say.text} />
    </p>
  );
}

function Hops({ result }: { result: Result }) {
  const hops = markedHops(result);
  const changed = changedAt(result);
  if (hops.length === 0) return <p class="text-secondary">This run saw no hop that quotes what it received.</p>;
  return (
    <div class="table-scroll" data-testid="qos-hops">
      <table class="table table-hops">
        <thead>
          <tr>
            <th scope="col" class="num">
              Hop
            </th>
            <th scope="col">Address</th>
            <th scope="col">Class it saw</th>
            <th scope="col">ECN it saw</th>
          </tr>
        </thead>
        <tbody>
          {hops.map((hop) => (
            <HopRow key={hop.ttl} hop={hop} dscpChanged={changed.dscp === hop.ttl} ecnChanged={changed.ecn === hop.ttl} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function HopRow({ hop, dscpChanged, ecnChanged }: { hop: MarkedHop; dscpChanged: boolean; ecnChanged: boolean }) {
  if (hop.addr === null) {
    return (
      <tr class="hop-silent" data-ttl={hop.ttl}>
        <td class="num">{hop.ttl}</td>
        <td colSpan={3}>no answer</td>
      </tr>
    );
  }
  return (
    <tr data-ttl={hop.ttl} class={dscpChanged || ecnChanged ? "hop-marked" : undefined}>
      <td class="num">{hop.ttl}</td>
      <td>
        <span class="long-word">{hop.addr}</span>
      </td>
      <td>
        <Bits changed={dscpChanged}>{dscpText(hop.dscp)}</Bits>
      </td>
      <td>
        <Bits changed={ecnChanged}>{ecnText(hop.ecn)}</Bits>
      </td>
    </tr>
  );
}

function Bits({ changed, children: text }: { changed: boolean; children: string | null }) {
  if (text === null) return <Unknown why="Not known: the hop quoted nothing" />;
  return changed ? <StatusMark tone="warn" word={`${text}, changed before here`} /> : <span>{text}</span>;
}

function Classes({ result }: { result: Result }) {
  const classes = classesOf(result);
  if (classes.length === 0) return <p class="text-secondary">This run compared no classes.</p>;
  const longest = Math.max(0, ...classes.map(({ rtt_max, rtt_median }) => rtt_max ?? rtt_median ?? 0));
  const worst = result.metrics.qos_worst_class;
  return (
    <>
      <div class="table-scroll" data-testid="qos-classes">
        <table class="table table-hops table-classes">
          <thead>
            <tr>
              <th scope="col">Class</th>
              <th scope="col">Loss</th>
              <th scope="col" class="num">
                Median
              </th>
              <th scope="col" class="hop-bar">
                <span class="visually-hidden">Smallest to largest round trip</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {classes.map((one) => (
              <ClassRow key={one.dscp} one={one} longest={longest} worst={worst} />
            ))}
          </tbody>
        </table>
      </div>
      <p class="chart-note">
        {typeof worst === "string" ? (
          <>{worst} fares worse by more than chance explains.</>
        ) : (
          <>Differences of this size are what chance makes; no class is called worse.</>
        )}
      </p>
    </>
  );
}

function ClassRow({ one, longest, worst }: { one: ClassFigures; longest: number; worst: unknown }): ComponentChildren {
  const name = dscpText(one.dscp) ?? String(one.dscp);
  const counted = one.sent === null || one.received === null ? "" : `${one.received} of ${one.sent} answered`;
  const worse = typeof worst === "string" && name.split(" ")[0] === worst;
  return (
    <tr data-dscp={one.dscp} class={worse ? "hop-marked" : undefined}>
      <td>{worse ? <StatusMark tone="warn" word={name} /> : name}</td>
      <td class="hop-loss">
        <span class={`loss-text-${lossLevel(one.loss_pct)}`} title={counted}>
          <Meter value={one.loss_pct} label="Loss" why="Not known: nothing was sent" scale="loss" />
        </span>
      </td>
      <td class="num">
        <Figure name="ping_rtt_median" value={one.rtt_median} why="Not known: no answer" />
      </td>
      <td class="hop-bar">
        <SpreadBar
          low={one.rtt_min}
          mid={one.rtt_median}
          high={one.rtt_max}
          scale={longest}
          label={`${formatText("ping_rtt_min", one.rtt_min)} to ${formatText("ping_rtt_max", one.rtt_max)}`}
        />
      </td>
    </tr>
  );
}

function Main({ type: _type, name: _name, ...props }: MainProps) {
  return <MetricChart {...props} metrics={SPREAD} unit="ms" suggestedMax={5} />;
}

const hopNote = (value: unknown) => (typeof value === "number" ? ("warn" as const) : undefined);

export const qosPanel: Panel = {
  mainMetrics: METRICS,
  metrics: METRICS,
  figures: [
    { metric: "qos_preserved", label: "class kept", note: ({ metrics }) => sentNote(metrics.qos_dscp_sent) },
    { metric: "qos_bleached_at_hop", label: "class changed at hop", tone: hopNote },
    { metric: "ecn_capable", label: "ECN negotiated" },
    { metric: "ecn_blocked", label: "ECN blocked" },
    { metric: "qos_rtt_spread_ms", label: "slowest less quickest class" },
    { metric: "qos_loss_worst_pct", label: "loss of the worst class", tone: lossTone },
    { metric: "qos_hops_checked", label: "hops that could be seen" },
  ],
  columns: [
    ["qos_rtt_spread_ms", "spread"],
    ["qos_preserved", "class kept"],
    ["qos_bleached_at_hop", "changed at"],
    ["qos_loss_worst_pct", "worst loss"],
    ["ecn_blocked", "ECN blocked"],
  ],
  chartTitle: "Round trip of the slowest class less the quickest",
  Newest,
  Main,
  Rest: null,
  Legend: lineLegend(["spread of the classes"]),
  badge: (result) => {
    const [kept, ecn] = [classText(result), ecnVerdict(result)];
    if (ecn?.tone === "bad") return { tone: "bad", text: "ECN blocked" };
    if (kept?.tone === "warn") return { tone: "warn", text: "class rewritten" };
    if (ecn?.tone === "warn") return { tone: "warn", text: "ECN cleared" };
    return kept === null ? null : { tone: "ok", text: "class kept" };
  },
};

const sentNote = (sent: unknown) => {
  const text = typeof sent === "number" ? dscpText(sent) : null;
  return text === null ? undefined : `, ${text}`;
};

// Charts of one kind under a heading that folds them away, with a button for each that could be shown.
import type { ComponentChildren } from "preact";
import { chartChoice, choose, type ChartGroup as GroupName, isOpen, withChart, withFolded } from "../state/chart-choice.ts";
import { Icon } from "./icon.tsx";

interface ChartGroupProps {
  group: GroupName;
  title: string;
  /** Beside the heading, while it is not folded. */
  tools?: ComponentChildren;
  children: ComponentChildren;
}

export function ChartGroup({ group, title, tools, children }: ChartGroupProps) {
  const folded = chartChoice.value.folded.includes(group);
  const body = `charts-${group}`;
  return (
    <section class="chart-group" aria-labelledby={`${body}-head`} data-testid={body}>
      <header class="chart-group-head">
        <h3 id={`${body}-head`}>
          <button
            type="button"
            class="fold"
            aria-expanded={!folded}
            aria-controls={body}
            onClick={() => choose(withFolded(chartChoice.value, group, !folded))}
          >
            <Icon name={folded ? "chevron-right" : "chevron-down"} /> {title}
          </button>
        </h3>
        {!folded && tools}
      </header>
      <div id={body} hidden={folded}>
        {!folded && children}
      </div>
    </section>
  );
}

export interface Choosable {
  readonly key: string;
  readonly title: string;
  readonly first?: boolean;
  /** Whether there is anything to see on it now. */
  readonly measured: boolean;
}

/** Which charts of a group are shown: one button each, pressed while its chart is there. */
export function ChartChoice({ charts, label }: { charts: readonly Choosable[]; label: string }) {
  const rest = charts.filter(({ measured }) => !measured);
  return (
    <fieldset class="chart-choice">
      <legend class="visually-hidden">{label}</legend>
      {charts
        .filter(({ measured }) => measured)
        .map((chart) => (
          <ChartButton key={chart.key} chart={chart} />
        ))}
      {rest.length > 0 && <span class="chart-choice-rest">not measured here:</span>}
      {rest.map((chart) => (
        <ChartButton key={chart.key} chart={chart} />
      ))}
    </fieldset>
  );
}

function ChartButton({ chart }: { chart: Choosable }) {
  const open = isOpen(chartChoice.value, chart);
  return (
    <button
      type="button"
      class="range"
      data-chart={chart.key}
      aria-pressed={open}
      onClick={() => choose(withChart(chartChoice.value, chart.key, !open))}
    >
      {chart.title}
    </button>
  );
}

// A chart over time: axes by chart.js, lines with breaks, painters beneath, the shared cursor, zoom by dragging.

import { useSignal } from "@preact/signals";
import type { ChartConfiguration, ChartDataset, Scale } from "chart.js";
import { useContext, useEffect, useRef } from "preact/hooks";
import { formatUnit } from "../format.ts";
import type { Band } from "../state/bands.ts";
import type { Gap } from "../state/points.ts";
import { shownTheme } from "../theme.ts";
import { Bands, paintBands } from "./bands.tsx";
import type { Area, Painter, Painting } from "./canvas.ts";
import { paintGaps } from "./canvas.ts";
import { type Colours, readColours } from "./colours.ts";
import { Overlay } from "./overlay.tsx";
import { Chart } from "./setup.ts";

/** Lines of one chart differ in their dashes as well: not everybody tells colours apart. */
const LINE_STYLES = {
  accent: [],
  second: [4, 3],
  third: [1.5, 2.5],
  fourth: [9, 3, 2, 3],
} as const satisfies Partial<Record<keyof Colours, readonly number[]>>;
export type LineStyle = keyof typeof LINE_STYLES;

export interface Line {
  readonly label: string;
  /** Its colour and its dashes. */
  readonly style: LineStyle;
  /** A value holds until the next one, as sizes and counts do. */
  readonly stepped?: boolean;
  /** NaN breaks the line. */
  readonly points: readonly { x: number; y: number }[];
}

export interface TimeChartProps {
  /** What the picture says, for those who cannot see it. */
  readonly label: string;
  readonly height: number;
  readonly from: number;
  readonly to: number;
  readonly unit: string;
  /** 0 where nothing is said. */
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  /** Nothing has a value, so a scale would be made up. */
  readonly scaleless?: boolean;
  readonly suggestedMax?: number | undefined;
  readonly lines?: readonly Line[];
  readonly gaps: readonly Gap[];
  readonly paint?: Painter;
  readonly stepMs: number;
  readonly onZoom?: ((from: number, to: number) => void) | undefined;
  /** After the data is on screen. */
  readonly onDrawn?: () => void;
}

/** Fixed, so that the time axes of charts above each other line up. */
const AXIS_WIDTH = 66;
const TIME_FORMATS = { second: "HH:mm:ss", minute: "HH:mm", hour: "HH:mm", day: "d MMM", week: "d MMM", month: "MMM yyyy" };

type TimeConfig = ChartConfiguration<"line">;

/** A point between two breaks has no line to stand on; it is drawn as a dot. */
const standsAlone = (points: Line["points"], index: number) =>
  !Number.isFinite(points[index - 1]?.y) && !Number.isFinite(points[index + 1]?.y);

function datasetsOf(lines: readonly Line[], colours: Colours): ChartDataset<"line">[] {
  return lines.map((line) => ({
    label: line.label,
    data: [...line.points],
    borderColor: colours[line.style],
    borderWidth: 1.75,
    borderDash: [...LINE_STYLES[line.style]],
    pointRadius: line.points.map((_, index) => (standsAlone(line.points, index) ? 1.75 : 0)),
    pointBackgroundColor: colours[line.style],
    pointBorderWidth: 0,
    pointHitRadius: 0,
    spanGaps: false,
    stepped: line.stepped === true,
  }));
}

/** Words too wide beside every tick; such a chart's title says them. */
const WIDE: readonly string[] = ["days", "MOS", "RPM", "Mbit/s", "dBm"];

const tick = (value: string | number, unit: string) => {
  const shown = formatUnit(Number(value), unit);
  return WIDE.includes(unit) ? shown.text : `${shown.text} ${shown.unit}`.trim();
};

/** The axis' first label stands wherever the view begins; where the next one is too close it goes. */
const LABEL_PX = 46;
function dropCrowdedTick(scale: Scale): void {
  const [first, second] = scale.ticks;
  if (!first || !second) return;
  if (scale.getPixelForValue(second.value) - scale.getPixelForValue(first.value) < LABEL_PX) scale.ticks = scale.ticks.slice(1);
}

function optionsOf(props: TimeChartProps, colours: Colours): NonNullable<TimeConfig["options"]> {
  const ticks = { color: colours.muted, maxRotation: 0, autoSkipPadding: 24 };
  return {
    responsive: true,
    maintainAspectRatio: false,
    parsing: false,
    normalized: true,
    events: [],
    layout: { padding: { top: 6, right: 6 } },
    scales: {
      x: {
        type: "time",
        min: props.from,
        max: props.to,
        grid: { display: false },
        border: { color: colours.line },
        time: { displayFormats: TIME_FORMATS },
        // Midnights are major ticks and show the date.
        ticks: { ...ticks, major: { enabled: true } },
        afterUpdate: dropCrowdedTick,
      },
      y: {
        min: props.min ?? 0,
        ...(props.max === undefined ? {} : { max: props.max }),
        ...(props.suggestedMax === undefined ? {} : { suggestedMax: props.suggestedMax }),
        grid: { color: colours.line },
        border: { display: false },
        ticks: {
          ...ticks,
          includeBounds: false,
          display: props.scaleless !== true,
          maxTicksLimit: Math.max(3, Math.round(props.height / 50)),
          callback: (value) => tick(value, props.unit),
        },
        afterFit: (scale) => {
          scale.width = AXIS_WIDTH;
        },
      },
    },
  };
}

/** Where the hatching is wide enough to say "no data" itself. */
const mostlyGap = ({ gaps, from, to }: TimeChartProps) => gaps.some((gap) => gap.to - gap.from > (to - from) / 10);

export function TimeChart(props: TimeChartProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const chart = useRef<Chart<"line"> | null>(null);
  const area = useSignal<Area | null>(null);
  const bands = useContext(Bands);
  const latest = useRef({ props, bands });
  latest.current = { props, bands };
  const theme = shownTheme.value;

  useEffect(() => {
    if (!canvas.current) return;
    const colours = readColours();
    const made = new Chart<"line">(canvas.current, {
      type: "line",
      data: { datasets: datasetsOf(latest.current.props.lines ?? [], colours) },
      options: optionsOf(latest.current.props, colours),
      plugins: [
        {
          id: "painters",
          afterLayout: (drawn) => {
            const { left, right, top, bottom } = drawn.chartArea;
            area.value = { left, right, top, bottom };
          },
          beforeDatasetsDraw: (drawn) => paintAll(drawn, latest.current.props, latest.current.bands, readColours()),
        },
      ],
    });
    chart.current = made;
    return () => {
      chart.current = null;
      made.destroy();
    };
  }, [area]);

  // Every new picture, and the same one in another theme.
  useEffect(() => {
    const shown = chart.current;
    if (!shown) return;
    const colours = readColours();
    shown.data.datasets = datasetsOf(props.lines ?? [], colours);
    shown.options = optionsOf(props, colours);
    shown.update("none");
    props.onDrawn?.();
  }, [props, bands, theme]);

  return (
    <div class="time-chart" style={{ height: `${props.height}px` }}>
      <canvas ref={canvas} role="img" aria-label={props.label} />
      {props.scaleless && !mostlyGap(props) && <span class="chart-none">no figure in this stretch of time</span>}
      <Overlay
        area={area.value}
        from={props.from}
        to={props.to}
        stepMs={props.stepMs}
        onZoom={props.onZoom}
        label={props.label}
      />
    </div>
  );
}

function paintAll(drawn: Chart<"line">, props: TimeChartProps, bands: readonly Band[], colours: Colours): void {
  const { x, y } = drawn.scales;
  if (!x || !y) return;
  const painting: Painting = {
    context: drawn.ctx,
    area: drawn.chartArea,
    colours,
    x: (ms) => x.getPixelForValue(ms),
    y: (value) => y.getPixelForValue(value),
  };
  paintGaps(painting, props.gaps);
  paintBands(painting, bands);
  props.paint?.(painting);
}

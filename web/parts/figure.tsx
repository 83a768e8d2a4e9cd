// A figure with its unit, or a dash that says why there is none.
import type { ComponentChildren } from "preact";
import { flagTone, formatMetric, metricLabel, reasonText, UNKNOWN } from "../format.ts";
import { Shape } from "./status.tsx";

type Value = number | string | boolean | null | undefined;

export function Unknown({ why }: { why: string }) {
  return (
    <span class="unknown" title={why}>
      <span aria-hidden="true">{UNKNOWN}</span>
      <span class="visually-hidden">{why}</span>
    </span>
  );
}

/** As long as the figures beside it. */
const SHORT_WORD = 8;

interface FigureProps {
  name: string;
  value: Value;
  reason?: string | undefined;
  /** Said instead of the reason's text. */
  why?: string | undefined;
}

export function Figure({ name, value, reason, why }: FigureProps) {
  const shown = formatMetric(name, value);
  if (!shown) return <Unknown why={why ?? reasonText(reason)} />;
  // Words are of any length: what does not fit is in the tool tip.
  if (typeof value === "string") {
    return (
      <span class={`figure figure-word${value.length > SHORT_WORD ? " figure-word-long" : ""}`} title={value}>
        {shown.text}
      </span>
    );
  }
  const tone = flagTone(name, value);
  return (
    <span class="figure">
      {tone && <Shape tone={tone} />}
      {tone && " "}
      {shown.text}
      {shown.unit !== "" && <span class="unit"> {shown.unit}</span>}
    </span>
  );
}

interface KeyFigureProps extends FigureProps {
  label?: string;
  tone?: string | undefined;
  note?: ComponentChildren;
}

/** One cell of the strip at a page's top. */
export function KeyFigure({ label, tone, note, ...figure }: KeyFigureProps) {
  return (
    <div class="key-figure">
      <div class={`key-value${tone ? ` text-${tone}` : ""}`}>
        <Figure {...figure} />
      </div>
      <div class="key-label">
        {label ?? metricLabel(figure.name)}
        {note}
      </div>
    </div>
  );
}

export function KeyStrip({ children, label }: { children: ComponentChildren; label: string }) {
  return (
    <section class="card key-strip" aria-label={label}>
      {children}
    </section>
  );
}

// The view in the page's URL, with its bounds as time goes on.
import { useLocation } from "preact-iso";
import { now } from "../clock.ts";
import { useQueryPatch } from "../navigate.ts";
import { bounds, queryOfView, type RangeName, rangeView, type View, viewFromQuery } from "./view.ts";

/** A moving chart is redrawn when it would move by about a pixel. */
const STEPS = 1000;

export interface ShownView {
  readonly view: View;
  readonly from: number;
  readonly to: number;
  readonly zoom: (from: number, to: number) => void;
  readonly choose: (range: RangeName) => void;
}

export function useView(fallback: RangeName): ShownView {
  const { query } = useLocation();
  const patch = useQueryPatch();
  const view = viewFromQuery(query, fallback);
  const quantum = Math.max(1000, view.spanMs / STEPS);
  const at = view.kind === "fixed" ? view.to : Math.ceil(now.value / quantum) * quantum;
  return {
    view,
    ...bounds(view, at),
    zoom: (from, to) => patch(queryOfView({ kind: "fixed", from, to, spanMs: to - from }), false),
    choose: (range) => patch(queryOfView(rangeView(range)), false),
  };
}

// Over a chart's canvas: the cursor line, and the stretch being dragged for a zoom. Arrow keys move the cursor too.
import { useContext, useState } from "preact/hooks";
import { Bands, bandsText } from "./bands.tsx";
import type { Area } from "./canvas.ts";
import { cursor } from "./cursor.ts";

interface OverlayProps {
  area: Area | null;
  from: number;
  to: number;
  stepMs: number;
  label: string;
  onZoom: ((from: number, to: number) => void) | undefined;
}

/** A shorter drag is a click. */
const DRAG_PX = 8;

interface Drag {
  start: number;
  end: number;
}

export function Overlay({ area, from, to, stepMs, onZoom, label }: OverlayProps) {
  const [drag, setDrag] = useState<Drag | null>(null);
  const bands = useContext(Bands);
  if (!area) return null;
  const width = area.right - area.left;
  const timeAt = (px: number) => from + (Math.max(0, Math.min(width, px)) / width) * (to - from);
  const pixelOf = (ms: number) => ((ms - from) / (to - from)) * width;
  const at = cursor.value;
  const shown = at !== null && at >= from && at <= to;

  const move = (event: PointerEvent) => {
    const px = event.offsetX;
    cursor.value = timeAt(px);
    if (drag) setDrag({ ...drag, end: px });
  };
  const down = (event: PointerEvent) => {
    // A finger scrolls the page; only a mouse or a pen drags a zoom.
    if (!onZoom || event.pointerType === "touch" || event.button !== 0) return;
    (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    setDrag({ start: event.offsetX, end: event.offsetX });
  };
  const up = () => {
    if (drag && Math.abs(drag.end - drag.start) >= DRAG_PX) {
      onZoom?.(timeAt(Math.min(drag.start, drag.end)), timeAt(Math.max(drag.start, drag.end)));
    }
    setDrag(null);
  };
  const key = (event: KeyboardEvent) => {
    const step = event.key === "ArrowLeft" ? -stepMs : event.key === "ArrowRight" ? stepMs : 0;
    if (event.key === "Escape") cursor.value = null;
    if (step === 0) return;
    event.preventDefault();
    cursor.value = Math.max(from, Math.min(to, (cursor.value ?? to) + step));
  };

  return (
    <div
      class="chart-overlay"
      style={{ left: `${area.left}px`, top: `${area.top}px`, width: `${width}px`, height: `${area.bottom - area.top}px` }}
      role="slider"
      tabIndex={0}
      aria-label={`Cursor on ${label}`}
      aria-valuemin={from}
      aria-valuemax={to}
      aria-valuenow={at ?? to}
      aria-valuetext={
        at === null ? "none" : [new Date(at).toLocaleString("en-GB"), bandsText(bands, at, stepMs)].filter(Boolean).join(", ")
      }
      onPointerMove={move}
      onPointerDown={down}
      onPointerUp={up}
      onPointerCancel={() => setDrag(null)}
      onPointerLeave={() => {
        if (!drag) cursor.value = null;
      }}
      onKeyDown={key}
    >
      {shown && <span class="chart-cursor" style={{ transform: `translateX(${pixelOf(at)}px)` }} />}
      {drag && (
        <span
          class="chart-drag"
          style={{ left: `${Math.min(drag.start, drag.end)}px`, width: `${Math.abs(drag.end - drag.start)}px` }}
        />
      )}
    </div>
  );
}

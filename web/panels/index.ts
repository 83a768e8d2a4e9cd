// Test type to panel: one line for a type that the default panel does not fit.
import { defaultPanel } from "./default.tsx";
import type { Panel } from "./panel.ts";
import { pingPanel } from "./ping.tsx";

const PANELS: Readonly<Record<string, Panel>> = {
  ping: pingPanel,
};

const made = new Map<string, Panel>();

export function panelOf(type: string): Panel {
  const own = PANELS[type] ?? made.get(type);
  if (own) return own;
  const panel = defaultPanel(type);
  made.set(type, panel);
  return panel;
}

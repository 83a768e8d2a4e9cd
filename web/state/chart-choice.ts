// Which charts and groups of charts are open on client pages; remembered in this browser.
import { signal } from "@preact/signals";
import { z } from "zod";

const KEY = "streamswarm.charts";
const GROUPS = ["tests", "host", "agent"] as const;
export type ChartGroup = (typeof GROUPS)[number];

/** What differs from how the page comes: charts by their key, true for open, and groups that are folded. */
const choiceSchema = z.object({
  charts: z.record(z.string().max(40), z.boolean()).catch({}),
  folded: z.array(z.enum(GROUPS)).max(GROUPS.length).catch([]),
});
export type ChartChoice = z.infer<typeof choiceSchema>;

const NOTHING: ChartChoice = { charts: {}, folded: [] };

/** What a browser remembers; anything else than a choice is none. */
export function choiceFromText(text: string | null): ChartChoice {
  if (text === null) return NOTHING;
  try {
    return choiceSchema.safeParse(JSON.parse(text)).data ?? NOTHING;
  } catch {
    // Not JSON: somebody else's, or of another version.
    return NOTHING;
  }
}

export const isOpen = ({ charts }: ChartChoice, { key, first }: { key: string; first?: boolean }): boolean =>
  (Object.hasOwn(charts, key) ? charts[key] : undefined) ?? first === true;

export const withChart = (choice: ChartChoice, key: string, open: boolean): ChartChoice => ({
  ...choice,
  charts: { ...choice.charts, [key]: open },
});

export const withFolded = (choice: ChartChoice, group: ChartGroup, folded: boolean): ChartChoice => ({
  ...choice,
  folded: [...choice.folded.filter((one) => one !== group), ...(folded ? [group] : [])],
});

function remembered(): ChartChoice {
  try {
    return choiceFromText(localStorage.getItem(KEY));
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
    return NOTHING;
  }
}

export const chartChoice = signal<ChartChoice>(remembered());

export function choose(next: ChartChoice): void {
  chartChoice.value = next;
  try {
    localStorage.setItem(KEY, JSON.stringify(next));
  } catch {
    // As in remembered().
  }
}

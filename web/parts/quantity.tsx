// A figure that has no metric of its own, with its unit; or a dash that says why there is none.
import { formatUnit } from "../format.ts";
import { Unknown } from "./figure.tsx";

interface QuantityProps {
  value: number | null | undefined;
  unit: string;
  why?: string;
}

export function Quantity({ value, unit, why = "Not known: this host does not report it" }: QuantityProps) {
  if (value === null || value === undefined || !Number.isFinite(value)) return <Unknown why={why} />;
  const shown = formatUnit(value, unit);
  return (
    <span class="figure">
      {shown.text}
      {shown.unit !== "" && <span class="unit"> {shown.unit}</span>}
    </span>
  );
}

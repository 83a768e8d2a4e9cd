// A figure left of which a bar shows it as a share of the largest beside it.
import { Figure } from "./figure.tsx";

export function BarFigure({ name, value, share }: { name: string; value: number; share: number }) {
  return (
    <span class="bar-figure">
      <span class="bar-figure-track" aria-hidden="true">
        <span class="bar-figure-fill" style={{ width: `${Math.max(2, Math.min(100, share * 100))}%` }} />
      </span>
      <Figure name={name} value={value} />
    </span>
  );
}

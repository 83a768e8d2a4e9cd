// Budgets in bytes, in the decimal units lines and contracts are sold by.

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** "500 MB", "1.25 GB". */
export function bytesText(bytes: number): string {
  let size = bytes;
  let step = 0;
  while (Math.abs(size) >= 1000 && step < UNITS.length - 1) {
    size /= 1000;
    step += 1;
  }
  return `${Number(size.toPrecision(4))} ${UNITS[step]}`;
}

const WRITTEN = /^(\d+(?:[.,]\d+)?)\s*([kmgtp]?)b?$/i;
const STEPS = ["", "k", "m", "g", "t", "p"];

/** Bytes of "500 MB", "1,5 gb" or "500000000"; undefined for what is none of that. */
export function bytesFrom(text: string): number | undefined {
  const parts = WRITTEN.exec(text.trim());
  if (parts === null) return undefined;
  const bytes = Number((parts[1] ?? "").replace(",", ".")) * 1000 ** STEPS.indexOf((parts[2] ?? "").toLowerCase());
  return Number.isFinite(bytes) ? Math.round(bytes) : undefined;
}

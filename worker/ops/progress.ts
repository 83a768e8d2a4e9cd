// Progress of a command: one line for each step that is done, with the seconds since the command began.
const began = performance.now();

export function step(line: string): void {
  const seconds = ((performance.now() - began) / 1000).toFixed(1).padStart(6);
  console.log(`${seconds} s  ${line}`);
}

export function heading(title: string): void {
  console.log(`\n── ${title} ${"─".repeat(Math.max(3, 70 - title.length))}`);
}

export function seconds(sinceMs: number): string {
  return `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;
}

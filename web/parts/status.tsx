// Status as a shape and a word; colour only repeats them.
import type { Tone } from "../health.ts";

/** Circle ok, triangle warn, square bad, dashed ring unknown. */
export function Shape({ tone }: { tone: Tone }) {
  return (
    <svg class={`shape shape-${tone}`} viewBox="0 0 12 12" width="12" height="12" aria-hidden="true" focusable="false">
      {tone === "ok" && <circle cx="6" cy="6" r="4.5" />}
      {tone === "warn" && <path d="M6 1 11.5 11H.5z" />}
      {tone === "bad" && <rect x="1.5" y="1.5" width="9" height="9" rx="1" />}
      {tone === "none" && <circle cx="6" cy="6" r="4.3" class="ring" />}
    </svg>
  );
}

export function StatusMark({ tone, word, title }: { tone: Tone; word: string; title?: string }) {
  return (
    <span class="status-mark" title={title}>
      <Shape tone={tone} />
      <span>{word}</span>
    </span>
  );
}

// The frame of the pages one sees before being signed in.
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";

export function Door({ title, children }: { title: string; children: ComponentChildren }) {
  useEffect(() => {
    document.title = `${title} · StreamSwarm`;
  }, [title]);
  return (
    <main class="door">
      <div class="card door-card">
        <p class="door-brand">
          <img src="/favicon.svg" alt="" width="32" height="32" /> StreamSwarm
        </p>
        <h1>{title}</h1>
        {children}
      </div>
    </main>
  );
}

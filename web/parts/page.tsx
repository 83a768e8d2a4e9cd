// The frame of a page: heading, chips, actions, search, and how fresh it is.
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import type { LiveState } from "../live.ts";
import { TIME_ZONE } from "../time.ts";
import type { Verdict } from "../verdict.ts";
import { SearchBox } from "./search-box.tsx";
import { Shape } from "./status.tsx";

interface PageProps {
  title: string;
  heading?: ComponentChildren;
  chips?: ComponentChildren;
  actions?: ComponentChildren;
  live?: LiveState;
  children: ComponentChildren;
}

export function Page({ title, heading, chips, actions, live, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · StreamSwarm`;
  }, [title]);
  return (
    <>
      <header class="topbar">
        <div class="topbar-title">
          <h1>{heading ?? title}</h1>
          {chips}
        </div>
        <div class="topbar-tools">
          {live && <LiveBadge state={live} />}
          {actions}
          <SearchBox />
          <span class="chip chip-zone" title="Times are shown in this time zone">
            {TIME_ZONE}
          </span>
        </div>
      </header>
      <main class="page" id="main">
        {children}
      </main>
    </>
  );
}

const LIVE_TEXT: Record<LiveState, [string, string]> = {
  live: ["live", "Changes appear as they happen"],
  connecting: ["connecting", "Opening the live connection"],
  polling: ["every 5 s", "The live connection is down; this page asks every 5 s until it is back"],
};

function LiveBadge({ state }: { state: LiveState }) {
  const [word, title] = LIVE_TEXT[state];
  return (
    <span class={`chip live-${state}`} data-testid="live-state" data-live={state} role="status" title={title}>
      <Shape tone={state === "live" ? "ok" : state === "polling" ? "warn" : "none"} /> {word}
    </span>
  );
}

export function VerdictLine({ verdict }: { verdict: Verdict }) {
  return (
    <p class={`verdict verdict-${verdict.tone}`} role="status">
      <Shape tone={verdict.tone} />
      <span>{verdict.text}</span>
    </p>
  );
}

export function Card({
  title,
  tools,
  children,
  level = 2,
  class: extra = "",
  testId,
}: {
  title: ComponentChildren;
  /** Of its heading, for a card within a part of the page that has one. */
  level?: 2 | 3 | 4;
  tools?: ComponentChildren;
  children: ComponentChildren;
  class?: string;
  testId?: string;
}) {
  const Heading = `h${level}` as const;
  return (
    <section class={`card ${extra}`} data-testid={testId}>
      <header class="card-head">
        <Heading>{title}</Heading>
        {tools}
      </header>
      {children}
    </section>
  );
}

// What went wrong for a client: the verdict first, what the witnesses saw one click away.
import { useState } from "preact/hooks";
import type { NetworkEvent } from "#contract/events";
import { idPath, queryString } from "../api.ts";
import { now } from "../clock.ts";
import { formatDuration } from "../format.ts";
import { Icon } from "../parts/icon.tsx";
import { Card } from "../parts/page.tsx";
import { Failed, Skeleton } from "../parts/states.tsx";
import { Shape } from "../parts/status.tsx";
import { withNames } from "../peers.ts";
import { useClientNames } from "../state/client-names.ts";
import { eventTone, verdictWord } from "../state/events.ts";
import { type EventList, useEvidence } from "../state/use-events.ts";
import { fullTime, sinceText, spanText } from "../time.ts";
import { EventEvidence } from "./event-evidence.tsx";

export interface EventAbout {
  /** Null for a test that is gone or runs there no more. */
  readonly test: string | null;
  /** Null on the client's own page. */
  readonly client: string | null;
}

interface EventsCardProps {
  list: EventList;
  /** What an event is about, in words that lead there; null on the test's own page. */
  aboutOf: ((event: NetworkEvent) => EventAbout) | null;
}

/** Shown at first; open events always are. */
const SHOWN = 3;

export function EventsCard({ list, aboutOf }: EventsCardProps) {
  const [all, setAll] = useState(false);
  const { events, error, reload } = list;
  useClientNames(events?.map(({ summary }) => summary) ?? []);
  if (events === undefined) {
    return (
      <Card title="Events">
        {error === undefined ? (
          <Skeleton lines={2} label="Loading events" />
        ) : (
          <Failed what="The events cannot be read" error={error} retry={reload} />
        )}
      </Card>
    );
  }
  // On a test's own page nothing is news only while something is wrong.
  if (events.length === 0) return aboutOf === null ? null : <NothingHappened />;
  const open = events.filter(({ closed_at }) => closed_at === null).length;
  const shown = all ? events : events.slice(0, Math.max(SHOWN, open));
  const [first] = events;
  return (
    <Card
      title="Events"
      tools={open > 0 ? <span class="chip chip-bad">{open} open</span> : <span class="text-secondary small">none open</span>}
    >
      <ul class="events" data-testid="events">
        {shown.map((event) => (
          <EventItem key={event.id} event={event} aboutOf={aboutOf} startOpen={event === first && event.closed_at === null} />
        ))}
      </ul>
      {events.length > shown.length && (
        <button type="button" class="btn btn-sm btn-outline-secondary table-more" onClick={() => setAll(true)}>
          Show {events.length - shown.length} earlier
        </button>
      )}
    </Card>
  );
}

function NothingHappened() {
  return (
    <Card title="Events">
      <p class="panel-say text-secondary">
        <Shape tone="ok" /> No failure of this client's tests is on record.
      </p>
    </Card>
  );
}

function EventItem({
  event,
  aboutOf,
  startOpen,
}: {
  event: NetworkEvent;
  aboutOf: EventsCardProps["aboutOf"];
  startOpen: boolean;
}) {
  const [open, setOpen] = useState(startOpen);
  const evidence = useEvidence(event, open);
  const tone = eventTone(event);
  const where = verdictWord(event.verdict);
  const about = aboutOf === null ? null : aboutOf(event);
  return (
    <li class="event" data-testid="event" data-open={event.closed_at === null}>
      <button type="button" class="event-head" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Shape tone={tone} />
        <span class="event-say">
          {about !== null && about.client !== null && <span class="event-who">{about.client}: </span>}
          {withNames(event.summary)}
          {where !== null && <span class="chip chip-small">{where}</span>}
        </span>
        <EventTime event={event} />
        <Icon name={open ? "chevron-down" : "chevron-right"} />
      </button>
      {open && (
        <div class="event-body">
          {about && <EventPlace event={event} about={about} />}
          {event.completed_at === null && <Hearing />}
          {evidence.data ? (
            <EventEvidence detail={evidence.data} />
          ) : evidence.error === undefined ? (
            <Skeleton lines={4} label="Loading what the witnesses saw" />
          ) : (
            <Failed what="What the witnesses saw cannot be read" error={evidence.error} retry={evidence.reload} />
          )}
        </div>
      )}
    </li>
  );
}

/** "since 13:52 · 28 min", or when it was and how long it lasted. */
function EventTime({ event }: { event: NetworkEvent }) {
  const opened = Date.parse(event.opened_at);
  if (event.closed_at === null) {
    const span = spanText(opened, now.value);
    return (
      <time class={`chip chip-${eventTone(event)}`} dateTime={event.opened_at} title={fullTime(opened)}>
        since {sinceText(opened, now.value)}
        {span === "" ? "" : ` · ${span}`}
      </time>
    );
  }
  return (
    <time class="chip" dateTime={event.opened_at} title={`${fullTime(opened)} to ${fullTime(Date.parse(event.closed_at))}`}>
      {sinceText(opened, now.value)}, over after {formatDuration((Date.parse(event.closed_at) - opened) / 1000)}
    </time>
  );
}

/** Shows this much of the test's charts around an event. */
const AROUND_MS = 15 * 60_000;

function EventPlace({ event, about }: { event: NetworkEvent; about: EventAbout }) {
  const from = new Date(Date.parse(event.opened_at) - AROUND_MS).toISOString();
  const end = event.closed_at === null ? null : new Date(Date.parse(event.closed_at) + AROUND_MS).toISOString();
  const stretch = end === null ? { range: "1h" } : { from, to: end };
  const query = queryString({ client: event.client_id, peer: event.peer_id ?? undefined, ...stretch });
  return (
    <p class="event-test">
      <a href={`/tests/${encodeURIComponent(event.test_id)}${query}`}>{about.test ?? "The test that failed"}</a>
      {about.client !== null && (
        <>
          {" "}
          on <a href={`/clients${idPath(event.client_id)}`}>{about.client}</a>
        </>
      )}
    </p>
  );
}

function Hearing() {
  return (
    <p class="event-hearing" role="status">
      <span class="pulse pulse-on" aria-hidden="true" /> The witnesses are being heard; what they say appears here within seconds.
    </p>
  );
}

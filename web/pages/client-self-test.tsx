// What the agent itself reaches: its gateway, a resolver, this server.
import type { ClientDetail } from "#contract/api";
import type { Reach } from "#contract/host-detail";
import { now } from "../clock.ts";
import type { Tone } from "../health.ts";
import { Card } from "../parts/page.tsx";
import { Quantity } from "../parts/quantity.tsx";
import { Shape, StatusMark } from "../parts/status.tsx";
import { selfTestOf } from "../state/host-detail.ts";
import { agoText, fullTime, sinceText } from "../time.ts";

const PLACES = [
  ["gateway", "Gateway"],
  ["resolver", "Resolver"],
  ["edge", "Server"],
] as const;

/** A gateway may just not answer echoes: only one of three that are all silent is bad. */
const reached = ({ reached: yes, target }: Reach, cutOff: boolean): { tone: Tone; word: string } => {
  if (yes === true) return { tone: "ok", word: "reached" };
  if (yes === false) return { tone: cutOff ? "bad" : "warn", word: "not reached" };
  return { tone: "none", word: target === null ? "there is none" : "not asked" };
};

function Place({ label, reach, cutOff }: { label: string; reach: Reach; cutOff: boolean }) {
  const { tone, word } = reached(reach, cutOff);
  return (
    <div class="self-test-place">
      <span class="self-test-label">{label}</span>
      <strong>
        <StatusMark tone={tone} word={word} />
        {reach.ms !== null && (
          <>
            {" "}
            <Quantity value={reach.ms} unit="ms" />
          </>
        )}
      </strong>
      <span class="text-secondary small long-word">
        {reach.target ?? ""}
        {reach.target !== null && reach.how !== "" && ", "}
        {reach.how}
      </span>
    </div>
  );
}

export function SelfTestCard({ client }: { client: ClientDetail }) {
  const test = selfTestOf(client.host?.detail);
  return (
    <Card
      title="Self-test: what the agent reaches"
      testId="self-test"
      tools={
        test && (
          <time class="text-secondary small" dateTime={new Date(test.at).toISOString()} title={fullTime(test.at)}>
            {agoText(test.at, now.value)}
          </time>
        )
      }
    >
      {test ? (
        <>
          {test.cut_off && (
            <p class="panel-say">
              <Shape tone="warn" />
              <span>
                It reached nothing{test.since === null ? "" : ` since ${sinceText(test.since, now.value)}`}: its own line was cut,
                so no target was judged.
              </span>
            </p>
          )}
          <div class="self-test">
            {PLACES.map(([key, label]) => (
              <Place key={key} label={label} reach={test[key]} cutOff={test.cut_off} />
            ))}
          </div>
        </>
      ) : (
        <p class="card-say text-secondary">
          {client.consent?.self_test === false
            ? "The host's owner does not allow the agent to look."
            : "None has arrived yet; without one, nothing tells a dead target from a cut line."}
        </p>
      )}
    </Card>
  );
}

// A time as "12 s ago", which moves by itself, with the exact time in its tool tip.
import { now } from "../clock.ts";
import { agoText, fullTime } from "../time.ts";
import { Unknown } from "./figure.tsx";

export function Ago({ at, why = "Never" }: { at: string | null; why?: string }) {
  if (at === null) return <Unknown why={why} />;
  const ms = Date.parse(at);
  return (
    <time dateTime={at} title={fullTime(ms)}>
      {agoText(ms, now.value)}
    </time>
  );
}

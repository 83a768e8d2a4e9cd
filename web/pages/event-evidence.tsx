// The evidence of an event: the server's own look, two other clients', and the path beside the last good one.
import type { ComponentChildren } from "preact";
import type { EdgeCheck, Evidence, NetworkEventDetail, SeenPath, SiblingEvidence, WitnessHop } from "#contract/events";
import { idPath } from "../api.ts";
import { formatPercent, formatUnit, inSentence, sentence, typeWord } from "../format.ts";
import type { Tone } from "../health.ts";
import { Ago } from "../parts/ago.tsx";
import { Shape, StatusMark } from "../parts/status.tsx";
import { withNames } from "../peers.ts";
import { type DiffRow, diffRows, HOP_WORD, pathStateText, siblingWord } from "../state/events.ts";
import { plural } from "../verdict.ts";

const ms = (value: number) => {
  const { text, unit } = formatUnit(value, "ms");
  return `${text} ${unit}`;
};

export function EventEvidence({ detail }: { detail: NetworkEventDetail }) {
  const { evidence } = detail;
  return (
    <>
      <div class="witnesses">
        <Failure evidence={evidence} />
        <Edge edge={evidence.edge} />
        {evidence.siblings.map((sibling) => (
          <Sibling sibling={sibling} />
        ))}
        {evidence.siblings.length === 0 && (
          <Witness title="Other clients" tone="none" word="none could be asked">
            <p>Another connected client would show whether the fault is this client's own.</p>
          </Witness>
        )}
      </div>
      {evidence.shared_from !== null && (
        <p class="text-secondary small">
          The server's and the other clients' looks are those of an event about the same destination moments before.
        </p>
      )}
      <PathDiff evidence={evidence} />
    </>
  );
}

interface WitnessProps {
  title: ComponentChildren;
  tone: Tone;
  word: string;
  at?: string | null;
  children?: ComponentChildren;
}

function Witness({ title, tone, word, at = null, children }: WitnessProps) {
  return (
    <section class="witness">
      <h3>
        {title} {at !== null && <Ago at={at} />}
      </h3>
      <p class="witness-word">
        <StatusMark tone={tone} word={word} />
      </p>
      {children}
    </section>
  );
}

function Failure({ evidence: { failure } }: { evidence: Evidence }) {
  const loss = failure.loss_pct === null || failure.error !== null ? "" : `${formatPercent(failure.loss_pct)} % lost.`;
  return (
    <Witness
      title={`This client's ${typeWord(failure.type)}`}
      tone="bad"
      word={failure.status === "failed" ? "failed" : "went wrong in part"}
      at={failure.at}
    >
      <p class="long-word">{failure.error ? sentence(withNames(failure.error.message)) : loss}</p>
    </Witness>
  );
}

const EDGE_WORD: Record<EdgeCheck["state"], { tone: Tone; word: string }> = {
  pending: { tone: "none", word: "is looking" },
  ok: { tone: "ok", word: "reaches it" },
  failed: { tone: "bad", word: "does not reach it" },
  not_possible: { tone: "none", word: "cannot look from the internet" },
  not_applicable: { tone: "none", word: "has nothing to ask" },
};

function Edge({ edge }: { edge: EdgeCheck }) {
  const refused = edge.state === "failed" && edge.alive === true;
  const { tone, word } = refused ? { tone: "warn" as const, word: "reaches the host, which refuses" } : EDGE_WORD[edge.state];
  return (
    <Witness title="The server itself" tone={tone} word={word} at={edge.at}>
      <p class="long-word">
        {withNames(edge.says)}
        {edge.duration_ms !== null && <span class="text-secondary"> {ms(edge.duration_ms)}</span>}
      </p>
    </Witness>
  );
}

function Sibling({ sibling }: { sibling: SiblingEvidence }) {
  const { client_id, name, site, same_site, path, check, same_test } = sibling;
  const { tone, word } = siblingWord(sibling);
  const title =
    client_id === null ? (
      "Another client"
    ) : (
      <a href={`/clients${idPath(client_id)}`}>{name === null ? "Another client" : name}</a>
    );
  const looked = check ?? same_test;
  return (
    <Witness title={title} tone={tone} word={word} at={path?.at ?? looked?.at ?? null}>
      <p class="text-secondary">
        {same_site ? "at the same site" : site === null || site === "" ? "at another site" : `at ${inSentence(site)}`}
        {looked !== null && looked.latency_ms !== null && `, ${typeWord(looked.type)} ${ms(looked.latency_ms)}`}
        {looked?.error && `: ${withNames(looked.error.message)}`}
      </p>
      {path && <SeenHops path={path} />}
    </Witness>
  );
}

function SeenHops({ path }: { path: SeenPath }) {
  if (path.error?.source === "agent" && path.hops.length === 0) {
    return <p class="text-secondary">Its path was not looked at: {inSentence(withNames(path.error.message))}</p>;
  }
  const end = path.reached === true ? `reached${path.rtt_median === null ? "" : ` in ${ms(path.rtt_median)}`}` : "not reached";
  return (
    <details class="card-details">
      <summary>
        Its path: {plural(path.hops.length, "hop")}, {end}
      </summary>
      <ol class="seen-hops">
        {path.hops.map((hop) => (
          <li value={hop.ttl}>
            <HopText hop={hop} />
          </li>
        ))}
      </ol>
    </details>
  );
}

function HopText({ hop }: { hop: WitnessHop | null }) {
  const [first, ...others] = hop?.addrs ?? [];
  if (!hop || first === undefined) return <span class="text-secondary">no answer</span>;
  return (
    <>
      <span class="long-word">{first}</span>
      {others.length > 0 && (
        <span class="text-secondary" title={others.join(", ")}>
          {" "}
          +{others.length}
        </span>
      )}{" "}
      <span class="text-secondary text-nowrap">
        {[hop.asn === null ? null : `AS${hop.asn}`, hop.rtt_median === null ? null : ms(hop.rtt_median)]
          .filter((part) => part !== null)
          .join(" · ")}
      </span>
    </>
  );
}

function PathDiff({ evidence }: { evidence: Evidence }) {
  const { path, last_good: good, diff, path_state } = evidence;
  if (path === null && good === null) {
    const why = pathStateText(path_state);
    return why === "" ? null : <p class="text-secondary">{why}</p>;
  }
  const rows = diffRows(evidence);
  return (
    <section class="path-diff" data-testid="path-diff">
      <h3>The path, against the last good one</h3>
      {path === null && <p class="text-secondary">{pathStateText(path_state)} Below is the last good path.</p>}
      {good === null && (
        <p class="text-secondary">No good path to this destination is known yet, so there is nothing to compare with.</p>
      )}
      {diff && diff.says !== "" && (
        <p class="panel-say">
          <Shape
            tone={
              diff.outcome === "stops" ? "bad" : diff.outcome === "changed" ? "warn" : diff.outcome === "same" ? "ok" : "none"
            }
          />{" "}
          <span>{withNames(diff.says)}</span>
        </p>
      )}
      {rows.length > 0 && (
        <div class="table-scroll">
          <table class="table table-diff">
            <thead>
              <tr>
                <th scope="col" class="num">
                  Hop
                </th>
                {good && (
                  <th scope="col">
                    Last good, <Ago at={good.at} />
                  </th>
                )}
                {path && (
                  <th scope="col">
                    Then, <Ago at={path.at} />
                  </th>
                )}
                {good && path && <th scope="col">What changed</th>}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <HopRow key={row.ttl} row={row} before={good !== null} after={path !== null} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function HopRow({ row, before, after }: { row: DiffRow; before: boolean; after: boolean }) {
  const { tone, word } = HOP_WORD[row.state];
  return (
    <tr class={`diff-${row.state}`}>
      <td class="num">{row.ttl}</td>
      {before && (
        <td data-label="Last good">
          <HopText hop={row.before} />
        </td>
      )}
      {after && (
        <td data-label="Then">
          <HopText hop={row.now} />
        </td>
      )}
      {before && after && (
        <td>{row.state === "same" ? <span class="text-secondary">{word}</span> : <StatusMark tone={tone} word={word} />}</td>
      )}
    </tr>
  );
}

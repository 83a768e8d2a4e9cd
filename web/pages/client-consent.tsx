// What the owner of a client's host allows. The server shows it and cannot change it.
import type { ClientDetail } from "#contract/api";
import { type ConsentRule, consentRules, refusalOf } from "../consent-words.ts";
import { sentence } from "../format.ts";
import { Card } from "../parts/page.tsx";
import { Shape } from "../parts/status.tsx";
import { plural } from "../verdict.ts";

/** Of a long list; the rest is one click away. */
const ITEMS_SHOWN = 12;

export function ConsentCard({ client }: { client: ClientDetail }) {
  const { consent } = client;
  return (
    <Card title="What this host allows" testId="consent">
      {consent === null ? (
        <p class="card-say">No consent file: everything the server assigns is run.</p>
      ) : (
        <>
          {consent.problem !== undefined && (
            <p class="panel-say" data-testid="consent-problem">
              <Shape tone="warn" />
              <span>The file was changed and is not readable now; the rules before that hold. {sentence(consent.problem)}</span>
            </p>
          )}
          <Rules rules={consentRules(consent)} />
          <Refused client={client} />
          <p class="text-secondary small">
            From the consent file on the host; the agent holds to it by itself, and nothing here can change it.
          </p>
        </>
      )}
    </Card>
  );
}

function Rules({ rules }: { rules: readonly ConsentRule[] }) {
  if (rules.length === 0) return <p class="card-say">Its consent file limits nothing: everything the server assigns is run.</p>;
  return (
    <dl class="facts">
      {rules.map((one) => (
        <div key={one.label}>
          <dt>{one.label}</dt>
          <dd>
            {one.text}
            {one.items.length > 0 && <Items items={one.items} />}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Items({ items }: { items: readonly string[] }) {
  const list = (some: readonly string[]) => (
    <span class="rule-items">
      {some.map((item, index) => (
        <code key={`${index} ${item}`}>{item}</code>
      ))}
    </span>
  );
  if (items.length <= ITEMS_SHOWN) return list(items);
  return (
    <>
      {list(items.slice(0, ITEMS_SHOWN))}
      <details>
        <summary>{items.length - ITEMS_SHOWN} more</summary>
        {list(items.slice(ITEMS_SHOWN))}
      </details>
    </>
  );
}

function Refused({ client }: { client: ClientDetail }) {
  const refused = client.tests.filter((test) => test.enabled && refusalOf(test, client) !== null);
  if (refused.length === 0) return null;
  return (
    <p class="panel-say">
      <Shape tone="none" />
      <span>
        {plural(refused.length, "test")} assigned to it {refused.length === 1 ? "is" : "are"} refused:{" "}
        {refused
          .slice(0, 5)
          .map(({ name }) => name)
          .join(", ")}
        {refused.length > 5 && ` and ${refused.length - 5} more`}.
      </span>
    </p>
  );
}

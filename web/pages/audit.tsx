// Who changed what; admins only.
import { auditEntrySchema, pageOf } from "#contract/api";
import { get } from "../api.ts";
import { useQuery } from "../hooks.ts";
import { Unknown } from "../parts/figure.tsx";
import { ListPage } from "../parts/list-page.tsx";
import { fullTime } from "../time.ts";

const auditPage = pageOf(auditEntrySchema);
const NEWEST = 200;

export function AuditPage() {
  const query = useQuery("audit", (signal) => get(`/audit?limit=${NEWEST}`, auditPage, signal));
  return (
    <ListPage
      title="Audit"
      query={query}
      headings={["When", "Who", "What", "On", "From", "Detail"]}
      empty={{
        icon: "journal-text",
        title: "Nothing was changed yet",
        text: "Every change of users, tokens, clients and tests is written down here.",
      }}
      row={(entry) => (
        <tr key={entry.id}>
          <td data-label="When" class="text-nowrap">
            {fullTime(Date.parse(entry.at))}
          </td>
          <td data-label="Who" class="cell-who">
            {entry.actor}
          </td>
          <td data-label="What">{entry.action}</td>
          <td data-label="On">{entry.target}</td>
          <td data-label="From">{entry.ip ?? <Unknown why="Not known: the edge did not see an address" />}</td>
          <td data-label="Detail" class="cell-detail">
            {Object.keys(entry.detail).length > 0 && <code>{JSON.stringify(entry.detail)}</code>}
          </td>
        </tr>
      )}
    />
  );
}

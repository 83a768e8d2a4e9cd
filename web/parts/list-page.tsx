// A page that is one table: loading, failed, empty and filled.
import type { ComponentChildren } from "preact";
import type { Query } from "../hooks.ts";
import { Page } from "./page.tsx";
import { Empty, Failed, Skeleton, Stale } from "./states.tsx";

interface ListPageProps<Item> {
  title: string;
  query: Query<{ items: Item[] }>;
  headings: readonly string[];
  row: (item: Item) => ComponentChildren;
  actions?: ComponentChildren;
  empty: { icon: string; title: string; text: string };
  children?: ComponentChildren;
}

export function ListPage<Item>({ title, query, headings, row, actions, empty, children }: ListPageProps<Item>) {
  const items = query.data?.items;
  return (
    <Page title={title} actions={actions}>
      {children}
      {items && query.error !== undefined && <Stale error={query.error} retry={query.reload} />}
      {!items && query.error !== undefined && (
        <Failed what={`${title} cannot be shown`} error={query.error} retry={query.reload} />
      )}
      {!items && query.error === undefined && (
        <div class="card">
          <Skeleton lines={6} />
        </div>
      )}
      {items?.length === 0 && (
        <div class="card">
          <Empty icon={empty.icon} title={empty.title}>
            <p>{empty.text}</p>
          </Empty>
        </div>
      )}
      {items && items.length > 0 && (
        <div class="card table-card">
          <table class="table table-list">
            <thead>
              <tr>
                {headings.map((heading) => (
                  <th scope="col">{heading === "" ? <span class="visually-hidden">Actions</span> : heading}</th>
                ))}
              </tr>
            </thead>
            <tbody>{items.map(row)}</tbody>
          </table>
        </div>
      )}
    </Page>
  );
}

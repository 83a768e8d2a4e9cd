// An address that leads nowhere, and a page that did not come.
import { Page } from "../parts/page.tsx";
import { Empty, Failed } from "../parts/states.tsx";

export function NotFoundPage() {
  return (
    <Page title="Not found">
      <div class="card">
        <Empty icon="info-circle" title="Nothing is at this address">
          <p>
            It may have been deleted, or the address has a typing mistake. <a href="/">To the fleet</a>
          </p>
        </Empty>
      </div>
    </Page>
  );
}

export function UnloadedPage({ error }: { error: unknown }) {
  return (
    <Page title="Not loaded">
      <div class="card">
        <Failed
          what="This page could not be loaded: StreamSwarm cannot be reached, or was updated meanwhile"
          error={error}
          retry={() => location.reload()}
        />
      </div>
    </Page>
  );
}

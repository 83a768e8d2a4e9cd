// An address that leads nowhere.
import { Page } from "../parts/page.tsx";
import { Empty } from "../parts/states.tsx";

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

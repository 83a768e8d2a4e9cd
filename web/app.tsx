// Routes, and the door in front of them.

import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { ErrorBoundary as LazyBoundary, LocationProvider, lazy, Route, Router, useLocation } from "preact-iso";
import { sessionSchema } from "#contract/api";
import { get } from "./api.ts";
import { useQuery } from "./hooks.ts";
import { FleetPage } from "./pages/fleet.tsx";
import { LoginPage } from "./pages/login.tsx";
import { NotFoundPage, UnloadedPage } from "./pages/not-found.tsx";
import { SetupPage } from "./pages/setup.tsx";
import { ErrorBoundary } from "./parts/error-boundary.tsx";
import { Shell } from "./parts/shell.tsx";
import { Failed, Skeleton } from "./parts/states.tsx";
import { sessionState, signedIn } from "./session.ts";

/** A page fetched when it is opened; it says so when it does not come, as with a server that is down or was updated. */
const fetched = (load: () => Promise<ComponentType>) =>
  lazy(() => load().catch((error: unknown) => () => <UnloadedPage error={error} />));

// Pages with charts and rarely used ones.
const ClientPage = fetched(() => import("./pages/client.tsx").then((page) => page.ClientPage));
const TestPage = fetched(() => import("./pages/test.tsx").then((page) => page.TestPage));
const TestsPage = fetched(() => import("./pages/tests.tsx").then((page) => page.TestsPage));
const NewTestPage = fetched(() => import("./pages/test-form.tsx").then((page) => page.NewTestPage));
const EditTestPage = fetched(() => import("./pages/test-form.tsx").then((page) => page.EditTestPage));
const EventsPage = fetched(() => import("./pages/events.tsx").then((page) => page.EventsPage));
const TokensPage = fetched(() => import("./pages/tokens.tsx").then((page) => page.TokensPage));
const UsersPage = fetched(() => import("./pages/users.tsx").then((page) => page.UsersPage));
const AuditPage = fetched(() => import("./pages/audit.tsx").then((page) => page.AuditPage));

const ROUTES: readonly (readonly [string, ComponentType])[] = [
  ["/", FleetPage],
  ["/clients/:id", ClientPage],
  ["/tests", TestsPage],
  ["/tests/new", NewTestPage],
  ["/tests/:id", TestPage],
  ["/tests/:id/edit", EditTestPage],
  ["/events", EventsPage],
  ["/tokens", TokensPage],
  ["/users", UsersPage],
  ["/audit", AuditPage],
];

function Inside() {
  const { path, url, route } = useLocation();
  const state = sessionState.value;
  const session = useQuery(state.kind === "unknown" ? "session" : null, (signal) => get("/session", sessionSchema, signal));
  useEffect(() => {
    if (session.data) signedIn(session.data);
  }, [session.data]);
  useEffect(() => {
    if (state.kind === "none") route(`/login?next=${encodeURIComponent(url)}`, true);
  }, [state.kind, url, route]);
  if (state.kind === "in") {
    return (
      <Shell>
        <ErrorBoundary place={path}>
          <LazyBoundary>
            <Router>
              {[
                ...ROUTES.map(([at, Page]) => <Route key={at} path={at} component={Page} />),
                <Route key="default" default component={NotFoundPage} />,
              ]}
            </Router>
          </LazyBoundary>
        </ErrorBoundary>
      </Shell>
    );
  }
  if (session.error !== undefined && state.kind === "unknown") {
    return (
      <main class="page page-narrow">
        <Failed what="StreamSwarm does not answer" error={session.error} retry={session.reload} />
      </main>
    );
  }
  return (
    <main class="page page-narrow">
      <Skeleton lines={3} label="Opening StreamSwarm" />
    </main>
  );
}

function Doors() {
  const { path } = useLocation();
  if (path === "/login") return <LoginPage />;
  if (path === "/setup") return <SetupPage />;
  return <Inside />;
}

export function App() {
  return (
    <LocationProvider>
      <ErrorBoundary place="">
        <Doors />
      </ErrorBoundary>
    </LocationProvider>
  );
}

// Creating and editing a test.

import { useEffect, useState } from "preact/hooks";
import { useLocation, useRoute } from "preact-iso";
import { clientSchema, pageOf, testSchema } from "#contract/api";
import { LIMITS } from "#contract/limits";
import { get, idPath } from "../api.ts";
import { useQuery } from "../hooks.ts";
import { Form, FormError } from "../parts/form.tsx";
import { Card, Page } from "../parts/page.tsx";
import { Failed, Skeleton } from "../parts/states.tsx";
import { learnNames } from "../state/client-names.ts";
import { emptyForm, formOfTest, type TestForm } from "../state/test-form.ts";
import { useTestForm } from "../state/use-test-form.ts";
import { Targets } from "./test-form-targets.tsx";
import { WhatCard } from "./test-form-what.tsx";

const clientPage = pageOf(clientSchema);

export function NewTestPage() {
  const { query } = useLocation();
  const [start] = useState(() => emptyForm(query.client ? [query.client] : []));
  return <FormPage title="New test" start={start} testId={null} />;
}

export function EditTestPage() {
  const { params } = useRoute();
  const id = params.id ?? "";
  const test = useQuery(`edit ${id}`, (signal) => get(`/tests${idPath(id)}`, testSchema, signal));
  if (test.data) return <FormPage key={id} title={`Edit ${test.data.name}`} start={formOfTest(test.data)} testId={id} />;
  return (
    <Page title="Edit a test">
      {test.error === undefined ? (
        <Skeleton lines={8} />
      ) : (
        <Failed what="This test cannot be read" error={test.error} retry={test.reload} />
      )}
    </Page>
  );
}

interface FormPageProps {
  title: string;
  start: TestForm;
  testId: string | null;
}

function FormPage({ title, start, testId }: FormPageProps) {
  const clients = useQuery("form clients", (signal) => get(`/clients?limit=${LIMITS.listPage}`, clientPage, signal));
  const work = useTestForm(start, testId);
  useEffect(() => {
    if (clients.data) learnNames(clients.data.items);
  }, [clients.data]);
  return (
    <Page title={title}>
      <Form class="test-form" onSubmit={work.submit}>
        <WhatCard work={work} clients={clients} fixedType={testId !== null} />
        <Card title="Who measures">
          <Targets
            form={work.form}
            clients={clients}
            error={work.error("client_ids") ?? work.error("selector")}
            onChange={work.change}
          />
        </Card>
        <div class="form-end">
          <button type="submit" class="btn btn-primary" data-testid="test-submit" disabled={work.busy}>
            {testId === null ? "Create the test" : "Save"}
          </button>
          <a class="btn btn-outline-secondary" href={testId === null ? "/tests" : `/tests${idPath(testId)}`}>
            Cancel
          </a>
          <FormError text={work.faulty ? "Some fields above need a look." : undefined} />
        </div>
      </Form>
    </Page>
  );
}

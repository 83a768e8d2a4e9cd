// `/api/docs`: the OpenAPI document as a page to read. No script: it says nothing that the document does not.
import { html, raw } from "hono/html";

interface Operation {
  tags?: string[];
  parameters?: { name: string; in: string; required?: boolean; schema?: unknown }[];
  requestBody?: { content?: Record<string, { schema?: unknown }> };
  responses?: Record<string, { description?: string; content?: Record<string, { schema?: unknown }> }>;
}

interface Document {
  info: { title: string; version: string };
  paths?: Record<string, Record<string, Operation>>;
}

const schemaOf = (content: Record<string, { schema?: unknown }> | undefined) => content?.["application/json"]?.schema;

const schemaText = (title: string, schema: unknown) =>
  schema === undefined ? "" : html`<details><summary>${title}</summary><pre>${JSON.stringify(schema, null, 2)}</pre></details>`;

function operation(method: string, path: string, { parameters = [], requestBody, responses = {} }: Operation) {
  const rows = parameters.map(
    (one) => html`<li><code>${one.name}</code> (${one.in}${one.required === true ? ", required" : ""})</li>`,
  );
  const answers = Object.entries(responses).map(
    ([status, answer]) => html`<li>${status} ${answer.description ?? ""} ${schemaText("answer", schemaOf(answer.content))}</li>`,
  );
  return html`<section>
    <h3><code>${method.toUpperCase()} /api/v1${path}</code></h3>
    ${rows.length > 0 ? html`<ul>${rows}</ul>` : ""} ${schemaText("body", schemaOf(requestBody?.content))}
    <ul>${answers}</ul>
  </section>`;
}

/** The page. Text from the document is escaped. */
export function docsPage(document: Document) {
  const groups = new Map<string, ReturnType<typeof operation>[]>();
  for (const [path, methods] of Object.entries(document.paths ?? {})) {
    for (const [method, one] of Object.entries(methods)) {
      const tag = one.tags?.[0] ?? "other";
      groups.set(tag, [...(groups.get(tag) ?? []), operation(method, path, one)]);
    }
  }
  const body = [...groups].map(([tag, operations]) => html`<h2>${tag}</h2>${operations}`);
  return html`${raw("<!doctype html>")}
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${document.info.title} API</title>
        <link rel="stylesheet" href="/docs.css" />
      </head>
      <body>
        <h1>${document.info.title} API ${document.info.version}</h1>
        <p>
          Sign in with a session cookie, or send an API token as <code>Authorization: Bearer</code>. Errors are
          <code>application/problem+json</code> (RFC 9457). The same as data: <a href="/api/openapi.json">openapi.json</a>.
        </p>
        ${body}
      </body>
    </html>`;
}

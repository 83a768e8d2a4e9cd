// The matrix of a mesh test: each client's row is what it measures to the others. Arrow keys walk it.
import { useRef, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { now } from "../clock.ts";
import { formatMetric, formatPercent, formatText, metricLabel, typeWord } from "../format.ts";
import { lossOf } from "../loss.ts";
import { withQuery } from "../navigate.ts";
import { notMeasured } from "../not-measured.ts";
import { Card } from "../parts/page.tsx";
import { Shape } from "../parts/status.tsx";
import { BAD_RATIO, bySite, LEAST_MS, type Mesh, type MeshCell, meshUnit, pairText, WARN_RATIO } from "../state/mesh.ts";
import { agoText } from "../time.ts";
import { plural } from "../verdict.ts";

interface MatrixProps {
  type: string;
  mesh: Mesh;
  shown: { readonly from: string; readonly to: string } | null;
}

/** What one line and column of the grid holds, whether clients or sites stand there. */
interface Square {
  readonly cell: MeshCell;
  readonly label: string;
  /** Pairs it stands for. */
  readonly pairs: number;
}

interface Grid {
  readonly columns: readonly { readonly id: string; readonly name: string }[];
  readonly rows: readonly {
    readonly id: string;
    readonly name: string;
    readonly site: string;
    readonly squares: readonly (Square | null)[];
  }[];
}

/** More clients than that do not fit beside each other; sites do. */
const CLIENTS_SHOWN = 60;
const CLIENTS_AT_FIRST = 30;

function clientGrid(mesh: Mesh): Grid {
  return {
    columns: mesh.peers,
    rows: mesh.rows.map(({ client, cells }) => ({
      ...client,
      squares: cells.map((cell) => (cell === null ? null : { cell, label: pairText(cell), pairs: 1 })),
    })),
  };
}

const siteName = (site: string) => (site === "" ? "no site" : site);

function siteGrid(mesh: Mesh): Grid {
  const siteOf = new Map(mesh.rows.map(({ client }) => [client.id, client.site]));
  const { sites, cells } = bySite(mesh, siteOf);
  const squareOf = (from: string, to: string): Square | null => {
    const found = cells.get(`${from} ${to}`);
    if (!found?.worst) return null;
    const label = `${siteName(from)} → ${siteName(to)}, worst of ${plural(found.pairs, "pair")}: ${pairText(found.worst)}`;
    return { cell: found.worst, label, pairs: found.pairs };
  };
  const named = sites.map((site) => ({ id: site, name: siteName(site) }));
  return {
    columns: named,
    rows: named.map((site) => ({ ...site, site: "", squares: sites.map((to) => squareOf(site.id, to)) })),
  };
}

export function MeshMatrix({ type, mesh, shown }: MatrixProps) {
  const clients = mesh.peers.length;
  const sites = new Set(mesh.rows.map(({ client }) => client.site)).size;
  const [view, setView] = useState<"client" | "site">(clients > CLIENTS_AT_FIRST && sites > 1 ? "site" : "client");
  const choice = sites > 1 && sites < clients;
  const bySites = view === "site" || clients > CLIENTS_SHOWN;
  const what = mesh.metric === null ? typeWord(type) : metricLabel(mesh.metric);
  const unit = meshUnit(mesh.metric);
  return (
    <Card
      title={`Who reaches whom: ${what}${unit === "" ? "" : `, ${unit}`}`}
      tools={choice && clients <= CLIENTS_SHOWN ? <ViewChoice view={view} onView={setView} /> : undefined}
    >
      <MatrixTable grid={bySites ? siteGrid(mesh) : clientGrid(mesh)} mesh={mesh} shown={shown} />
      <MatrixLegend mesh={mesh} />
    </Card>
  );
}

const VIEWS = ["client", "site"] as const;

function ViewChoice({ view, onView }: { view: string; onView: (view: (typeof VIEWS)[number]) => void }) {
  return (
    <fieldset class="ranges">
      <legend class="visually-hidden">Rows and columns</legend>
      {VIEWS.map((one) => (
        <button type="button" class="range" aria-pressed={view === one} onClick={() => onView(one)}>
          by {one}
        </button>
      ))}
    </fieldset>
  );
}

const STEPS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/** Goes to the next cell that has a pair in the arrow's direction. */
function walk(event: KeyboardEvent, rows: number, columns: number): void {
  const step = STEPS[event.key];
  const link = (event.target as HTMLElement).closest<HTMLElement>("a[data-row]");
  if (!step || !link) return;
  event.preventDefault();
  const table = link.closest("table");
  let row = Number(link.dataset.row) + step[0];
  let column = Number(link.dataset.column) + step[1];
  while (row >= 0 && row < rows && column >= 0 && column < columns) {
    const next = table?.querySelector<HTMLElement>(`a[data-row="${row}"][data-column="${column}"]`);
    if (next) {
      next.focus();
      return;
    }
    row += step[0];
    column += step[1];
  }
}

/** A few columns need not fill a wide screen. */
const ROW_HEAD_PX = 200;
const COLUMN_PX = 150;

const isShown = ({ from, to }: MeshCell, shown: MatrixProps["shown"]) => shown?.from === from.id && shown.to === to.id;

function MatrixTable({ grid, mesh, shown }: { grid: Grid; mesh: Mesh; shown: MatrixProps["shown"] }) {
  const table = useRef<HTMLTableElement>(null);
  const chosen = grid.rows.flatMap(({ squares }, row) =>
    squares.flatMap((square, column) => (square && isShown(square.cell, shown) ? [`${row} ${column}`] : [])),
  )[0];
  const first = grid.rows.flatMap(({ squares }, row) =>
    squares.flatMap((square, column) => (square ? [`${row} ${column}`] : [])),
  )[0];
  const [focused, setFocused] = useState<string | null>(null);
  // One stop for the Tab key: where the keyboard was last, else the pair shown below.
  const stop = focused ?? chosen ?? first;
  return (
    <div class="table-scroll mesh-scroll">
      <table
        ref={table}
        class="mesh"
        style={{ maxWidth: `${ROW_HEAD_PX + grid.columns.length * COLUMN_PX}px` }}
        data-testid="mesh"
        onKeyDown={(event) => walk(event, grid.rows.length, grid.columns.length)}
        onFocusIn={(event) => {
          const link = (event.target as HTMLElement).closest<HTMLElement>("a[data-row]");
          if (link) setFocused(`${link.dataset.row} ${link.dataset.column}`);
        }}
      >
        <caption class="visually-hidden">
          Each row measures to each column. Arrow keys move between the pairs, Enter shows one.
        </caption>
        <thead>
          <tr>
            <td class="mesh-corner">from ↓ to →</td>
            {grid.columns.map(({ id, name }) => (
              <th key={id} scope="col" title={name}>
                <span>{name}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {grid.rows.map(({ id, name, site, squares }, row) => (
            <tr key={id}>
              <th scope="row" title={site === "" ? name : `${name}, ${site}`}>
                <span class="mesh-name">{name}</span>
                {site !== "" && site !== name && <span class="mesh-site">{site}</span>}
              </th>
              {squares.map((square, column) => (
                <Cell
                  key={grid.columns[column]?.id}
                  square={square}
                  name={grid.columns[column]?.name ?? ""}
                  at={[row, column]}
                  stop={stop === `${row} ${column}`}
                  mesh={mesh}
                  shown={shown}
                />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface CellProps {
  square: Square | null;
  name: string;
  at: readonly [number, number];
  stop: boolean;
  mesh: Mesh;
  shown: MatrixProps["shown"];
}

function Cell({ square, name, at, stop, mesh, shown }: CellProps) {
  const { path, query } = useLocation();
  if (square === null) return <td class="mesh-none" aria-hidden="true" />;
  const { cell, label } = square;
  const { from, to, tone, usual } = cell;
  const loss = lossOf(cell.latest?.metrics ?? {});
  // Nothing to compare with: plain, so that green keeps its meaning.
  const plain = tone === "ok" && usual === null && loss === null;
  return (
    <td class={`mesh-cell mesh-${plain ? "plain" : tone}`}>
      <a
        data-to={name}
        href={withQuery(path, query, { client: from.id, peer: to.id })}
        tabIndex={stop ? 0 : -1}
        data-row={at[0]}
        data-column={at[1]}
        aria-current={isShown(cell, shown) ? "true" : undefined}
        aria-label={`${label}: ${cellText(cell, mesh)}`}
        title={`${label}\n${cellText(cell, mesh)}`}
      >
        <span class="mesh-value">
          {(tone === "warn" || tone === "bad") && <Shape tone={tone} />}
          {valueText(cell, mesh)}
        </span>
        {loss !== null && loss > 0 && <span class="mesh-loss">{formatPercent(loss)} % lost</span>}
      </a>
    </td>
  );
}

/** The number as it stands in the cell, with its unit only where it is not the column title's. */
function valueText({ latest, value }: MeshCell, { metric }: Mesh): string {
  if (latest?.status === "failed") return notMeasured(latest)?.word ?? "failed";
  const shown = metric === null ? null : formatMetric(metric, value);
  if (!shown) return "–";
  return shown.unit === "" || shown.unit === meshUnit(metric) ? shown.text : `${shown.text} ${shown.unit}`;
}

function cellText(cell: MeshCell, { metric }: Mesh): string {
  const { latest, value, usual, why } = cell;
  if (latest === null) return "no result yet";
  const when = agoText(Date.parse(latest.started_at), now.value);
  if (notMeasured(latest)) return `${why}, ${when}`;
  if (latest.status === "failed") return `${latest.error?.message ?? "failed"}, ${when}`;
  const figure = metric === null ? "" : formatText(metric, value);
  const compared = usual === null || metric === null ? "no baseline yet" : `usually ${formatText(metric, usual)}`;
  const parts = [figure, compared, why === compared ? "" : why, when];
  return parts.filter((part) => part !== "").join(", ");
}

function MatrixLegend({ mesh }: { mesh: Mesh }) {
  const compared = mesh.rows.some(({ cells }) => cells.some((cell) => cell !== null && cell.usual !== null));
  const worse = meshUnit(mesh.metric) === "ms" ? ` and ${LEAST_MS} ms` : "";
  return (
    <footer class="chart-foot">
      <ul class="legend">
        {compared ? (
          <>
            <LegendItem tone="ok">usual for the pair</LegendItem>
            <LegendItem tone="warn">
              {WARN_RATIO} times worse{worse}, or loss
            </LegendItem>
            <LegendItem tone="bad">{BAD_RATIO} times worse, ≥ 6 % loss, or failed</LegendItem>
          </>
        ) : (
          <>
            <LegendItem tone="ok">no loss</LegendItem>
            <LegendItem tone="warn">loss</LegendItem>
            <LegendItem tone="bad">≥ 6 % loss, or failed</LegendItem>
          </>
        )}
        <LegendItem tone="none">no current result</LegendItem>
      </ul>
      <span class="text-secondary small">
        {compared ? "Usual is the pair's own median of the last 24 h." : "There is no baseline yet: colours show loss only."}
        {mesh.leftOut > 0 && ` ${plural(mesh.leftOut, "pair")} of each client are left out of so large a mesh.`}
      </span>
    </footer>
  );
}

function LegendItem({ tone, children }: { tone: "ok" | "warn" | "bad" | "none"; children: preact.ComponentChildren }) {
  return (
    <li>
      <span class={`swatch mesh-swatch mesh-${tone}`} aria-hidden="true" /> {children}
    </li>
  );
}

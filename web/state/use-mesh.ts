// A mesh test's matrix, read again while it is looked at, and what is usual for each pair.
import { useEffect, useMemo } from "preact/hooks";
import { seriesSchema, type TestDetail } from "#contract/api";
import { get, queryString } from "../api.ts";
import { useQuery } from "../hooks.ts";
import { isMesh } from "../peers.ts";
import { learnNames } from "./client-names.ts";
import { baselines, type Mesh, meshMetric, meshOf } from "./mesh.ts";

const REFRESH_MS = 15_000;
/** A day in so many parts; their middle is what is usual. */
const PARTS = 24;
const DAY_MS = 86_400_000;

/** Null for a test that is no mesh. Where the day before cannot be read, nothing is compared. */
export function useMesh(test: TestDetail, reload: () => void): Mesh | null {
  const metric = isMesh(test.destination) ? meshMetric(test.type) : null;
  const usual = useQuery(metric === null ? null : `usual ${test.id}`, async (signal) => {
    const from = new Date(Date.now() - DAY_MS).toISOString();
    const path = `/series${queryString({ test_id: test.id, metric: [metric ?? ""], from, points: PARTS })}`;
    return baselines(await get(path, seriesSchema, signal), metric);
  });
  useEffect(() => {
    learnNames(test.clients.flatMap((one) => [one, ...one.peers.map(({ peer_id, name }) => ({ id: peer_id, name }))]));
  }, [test]);
  const mesh = isMesh(test.destination);
  useEffect(() => {
    if (!mesh) return;
    const timer = setInterval(() => {
      if (!document.hidden) reload();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [mesh, reload]);
  return useMemo(() => (mesh ? meshOf(test, usual.data ?? new Map()) : null), [mesh, test, usual.data]);
}

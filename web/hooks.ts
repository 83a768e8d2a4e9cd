// How pages read: once with reload, or live.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { LiveFrame } from "#contract/api";
import { LiveSocket, type LiveState } from "./live.ts";
import { ApiError } from "./problem.ts";

export interface Query<Data> {
  readonly data: Data | undefined;
  readonly error: unknown;
  readonly loading: boolean;
  readonly reload: () => void;
}

interface QueryState<Data> {
  key: string;
  data: Data | undefined;
  error: unknown;
  loading: boolean;
}

const RETRY_MS = 5000;
/** No answer, or one of a server in trouble: asking again may help without anybody doing something. */
const mayPass = (error: unknown) => error instanceof ApiError && (error.status === 0 || error.status >= 500);

/**
 * Reads when `key` changes and on reload. Data of the key before it is dropped; a failed reload keeps what was shown.
 * While no answer comes it asks again by itself.
 */
export function useQuery<Data>(key: string | null, read: (signal: AbortSignal) => Promise<Data>): Query<Data> {
  const [state, setState] = useState<QueryState<Data>>({ key: "", data: undefined, error: undefined, loading: true });
  const [round, setRound] = useState(0);
  const latest = useRef(read);
  latest.current = read;
  useEffect(() => {
    if (key === null) return;
    const abort = new AbortController();
    let retry: number | undefined;
    setState((old) => (old.key === key ? { ...old, loading: true } : { key, data: undefined, error: undefined, loading: true }));
    latest
      .current(abort.signal)
      .then((data) => setState({ key, data, error: undefined, loading: false }))
      .catch((error: unknown) => {
        if (abort.signal.aborted) return;
        setState((old) => ({ ...old, key, error, loading: false }));
        if (mayPass(error)) retry = window.setTimeout(() => setRound((value) => value + 1), RETRY_MS);
      });
    return () => {
      abort.abort();
      clearTimeout(retry);
    };
  }, [key, round]);
  const reload = useCallback(() => setRound((value) => value + 1), []);
  const current = state.key === key;
  return {
    data: current ? state.data : undefined,
    error: current ? state.error : undefined,
    loading: !current || state.loading,
    reload,
  };
}

/** Opens the live socket of `path` while the component is shown; null opens none. */
export function useLive(path: string | null, onFrame: (frame: LiveFrame) => void, poll: () => void): LiveState {
  const [state, setState] = useState<LiveState>("connecting");
  const handlers = useRef({ onFrame, poll });
  handlers.current = { onFrame, poll };
  useEffect(() => {
    if (path === null) return;
    const socket = new LiveSocket({
      path,
      onFrame: (frame) => handlers.current.onFrame(frame),
      onState: setState,
      poll: () => handlers.current.poll(),
    });
    return () => socket.close();
  }, [path]);
  return state;
}

// A test whose destination names clients measures each of them as a series of its own: `<test>.<peer>`.
// Neither id holds a dot. On the agent wire and in a client's store this is the `test_id`; the web API takes it apart.

/** The id an agent runs one peer of a test under. */
export const seriesId = (testId: string, peerId: string): string => `${testId}.${peerId}`;

/** The test, and the peer where there is one. */
export function readSeriesId(id: string): { test_id: string; peer_id: string | null } {
  const [test_id = id, peer_id = null] = id.split(".", 2);
  return { test_id, peer_id };
}

/** Whether a series belongs to the test, or is the very series that was asked for. */
export const isSeriesOf = (id: string, asked: string): boolean => id === asked || id.startsWith(`${asked}.`);

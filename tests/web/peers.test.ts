import { expect, test } from "vitest";
import { testName, testTitle, typeAndTarget } from "../../web/format.ts";
import { destinationText, idsIn, peerNames, peerOf, resultTarget, withNames } from "../../web/peers.ts";
import { mergeLatest, peersOf } from "../../web/state/client.ts";
import { result } from "./make.ts";

const PEER = "0123456789abcdef";
const NAMES = new Map([[PEER, "osaka-edge"]]);

test("a client as destination goes by its name; one that is not known by a short id, never by client:<id>", () => {
  expect(peerOf(`client:${PEER}`)).toBe(PEER);
  expect(peerOf("crm.example")).toBeNull();
  expect(destinationText(`client:${PEER}`, NAMES)).toBe("osaka-edge");
  expect(destinationText(`client:${PEER}`, new Map())).toBe("client 012345…");
  expect(destinationText("mesh", NAMES)).toBe("each other");
  expect(destinationText("crm.example:443", NAMES)).toBe("crm.example:443");
});

test("headings and lists name the client too", () => {
  peerNames.value = NAMES;
  const test = { name: `client:${PEER} udp`, type: "udp", destination: `client:${PEER}` };
  expect(typeAndTarget("udp", test.destination)).toBe("UDP to osaka-edge");
  expect(typeAndTarget("udp", "mesh")).toBe("UDP with each other");
  expect(testTitle(test)).toEqual({ name: "osaka-edge", target: "UDP" });
  expect(testName(test)).toBe("osaka-edge UDP");
  expect(testTitle({ name: "Offices", type: "udp", destination: "mesh" })).toEqual({
    name: "Offices",
    target: "UDP with each other",
  });
  peerNames.value = new Map();
});

test("a result says whom it measured, in the words it brought where the name is not known", () => {
  const run = result(1, { destination: `client:${PEER}`, peer_id: PEER });
  expect(resultTarget(run, NAMES)).toBe("osaka-edge");
  expect(resultTarget({ ...run, detail: { peer: { client_id: PEER, name: "Osaka of then" } } }, new Map())).toBe("Osaka of then");
  for (const peer of [null, 7, { name: {} }, { name: "" }, { name: "x".repeat(5000) }]) {
    expect(resultTarget({ ...run, detail: { peer } }, new Map())).toBe("client 012345…");
  }
  expect(resultTarget(result(1), NAMES)).toBe("crm.example");
});

test("messages name clients too", () => {
  expect(withNames(`client:${PEER} fails; client:${PEER}.x and client:short stay`, NAMES)).toBe(
    "osaka-edge fails; osaka-edge.x and client:short stay",
  );
  expect(idsIn(`from client:${PEER} to crm.example`)).toEqual([PEER]);
});

test("each peer of a test keeps its own newest result", () => {
  const [one, other] = [result(1, { peer_id: "b" }), result(2, { peer_id: "c" })];
  const newer = result(3, { peer_id: "b" });
  expect(mergeLatest([one, other], newer).map(({ seq }) => seq)).toEqual([2, 3]);
  expect(mergeLatest([newer, other], one)).toEqual([newer, other]);
});

test("a mesh test has a line for each peer, by name; any other test has one", () => {
  const latest = [result(1, { peer_id: "c" }), result(2, { peer_id: "b" }), result(3, { peer_id: "b" })];
  const names = new Map([
    ["b", "Berlin"],
    ["c", "Austin"],
  ]);
  expect(peersOf({ id: "t", destination: "mesh" }, latest, names)).toEqual(["c", "b"]);
  expect(peersOf({ id: "t", destination: "mesh" }, [], names)).toEqual([null]);
  expect(peersOf({ id: "t", destination: `client:${PEER}` }, latest, names)).toEqual([PEER]);
  expect(peersOf({ id: "t", destination: "crm.example" }, latest, names)).toEqual([null]);
});

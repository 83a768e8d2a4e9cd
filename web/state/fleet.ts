// The fleet as live frames change it.
import type { FleetClient, LiveFrame } from "#contract/api";

export type FleetMap = ReadonlyMap<string, FleetClient>;

export const fleetMap = (clients: readonly FleetClient[]): FleetMap => new Map(clients.map((client) => [client.id, client]));

function withClient(fleet: FleetMap, client: FleetClient): FleetMap {
  return new Map(fleet).set(client.id, client);
}

export function applyFleetFrame(fleet: FleetMap, frame: LiveFrame): FleetMap {
  switch (frame.type) {
    case "snapshot":
      return frame.clients ? fleetMap(frame.clients) : fleet;
    case "summary":
      return withClient(fleet, frame.client);
    case "status": {
      if (frame.client) return withClient(fleet, frame.client);
      const known = fleet.get(frame.client_id);
      if (!known) return fleet;
      const { status, status_reason, status_since, last_seen_at } = frame;
      return withClient(fleet, { ...known, status, status_reason, status_since, last_seen_at });
    }
    case "gone": {
      const rest = new Map(fleet);
      rest.delete(frame.client_id);
      return rest;
    }
    default:
      return fleet;
  }
}

// What a test measures, in a table: an address or a name as it is, a client by its name with the way to its page.
import { idPath } from "../api.ts";
import { destinationText, isMesh, peerName, peerOf } from "../peers.ts";

interface DestinationProps {
  destination: string;
  /** The client a result or series measured; a mesh has one for each. */
  peerId?: string | null;
}

export function Destination({ destination, peerId = null }: DestinationProps) {
  const peer = peerId ?? peerOf(destination);
  if (peer !== null) return <a href={`/clients${idPath(peer)}`}>{peerName(peer)}</a>;
  if (isMesh(destination)) return <>each other (mesh)</>;
  return <>{destinationText(destination)}</>;
}

// Runs in an office: a resolver and a server. Arguments: their addresses, and the code (RFC 1035 4.1.1) with which the resolver
// answers; every question for an address is answered with the server's.
import { createSocket } from "node:dgram";
import { createServer } from "node:net";

const [resolver = "10.91.1.53", edge = "10.91.1.80", rcode = "0"] = process.argv.slice(2);

const udp = createSocket("udp4");
udp.on("message", (query, { address, port }) => {
  // The question ends with a zero label, type and class.
  const end = query.indexOf(0, 12) + 5;
  const isAddress = rcode === "0" && query.readUInt16BE(end - 4) === 1;
  const reply = Buffer.from(query.subarray(0, end));
  // QR and RA set; the record of EDNS is left out.
  reply.writeUInt16BE(0x8080 | Number(rcode), 2);
  reply.writeUInt16BE(isAddress ? 1 : 0, 6);
  reply.writeUInt16BE(0, 10);
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...edge.split(".").map(Number)]);
  udp.send(isAddress ? Buffer.concat([reply, record]) : reply, port, address);
});
await new Promise<void>((resolve) => udp.bind(53, resolver, resolve));
await new Promise<void>((resolve) => createServer((socket) => socket.on("error", () => {}).end()).listen(8787, edge, resolve));
process.stdout.write(`${JSON.stringify({ ready: true })}\n`);

// Browser sockets of one object. They only listen; the runtime answers their `ping` without waking anything.

import type { LiveFrame } from "#contract/api";
import { closeReply } from "./agent-link.ts";

const TAG = "browser";
/** A page has to connect again after this long, and its right to look is checked anew: milliseconds. */
const PASS_LASTS_MS = 10 * 60_000;
/** Close code that asks a page to connect again. */
const RENEW = 4000;

/** Facts of one browser socket that survive hibernation. `sites` null sees all. */
interface BrowserAttachment {
  kind: "browser";
  sites: string[] | null;
  connected_at: number;
}

export class Browsers {
  readonly #context: DurableObjectState;

  constructor(context: DurableObjectState) {
    this.#context = context;
  }

  accept(socket: WebSocket, sites: string[] | null = null): void {
    this.#context.acceptWebSocket(socket, [TAG]);
    socket.serializeAttachment({ kind: "browser", sites, connected_at: Date.now() } satisfies BrowserAttachment);
  }

  /** Sockets that are open. A tab that vanished without a word may stay listed, at most until its pass ends. */
  #live(): WebSocket[] {
    return this.#context.getWebSockets(TAG).filter((socket) => {
      const attachment = socket.deserializeAttachment() as BrowserAttachment | null;
      if (attachment !== null && attachment.connected_at + PASS_LASTS_MS < Date.now()) {
        closeReply(socket, RENEW, "connect again");
        return false;
      }
      return socket.readyState === WebSocket.OPEN;
    });
  }

  count(): number {
    return this.#live().length;
  }

  /** Sends to every page, or with a site to those that may see it. */
  send(frame: LiveFrame, site?: string): void {
    const text = JSON.stringify(frame);
    for (const socket of this.#live()) {
      const sites = (socket.deserializeAttachment() as BrowserAttachment | null)?.sites ?? null;
      if (site !== undefined && sites !== null && !sites.includes(site)) continue;
      sendText(socket, text);
    }
  }

  sendTo(socket: WebSocket, frame: LiveFrame): void {
    sendText(socket, JSON.stringify(frame));
  }

  closeAll(code: number, reason: string): void {
    for (const socket of this.#context.getWebSockets(TAG)) socket.close(code, reason);
  }
}

function sendText(socket: WebSocket, text: string): void {
  try {
    socket.send(text);
  } catch (error) {
    // The page went away between two frames; nothing is lost, it reads again when it returns.
    console.log(JSON.stringify({ event: "browser_gone", error: String(error) }));
  }
}

// Text from the network made safe for a message, a terminal or a page. Pure.

/** Everything but printable ASCII, control characters of both sets (C0, C1) among it, becomes a question mark. */
export const printable = (text: string, most = 200): string => text.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, most);

// Reads the one hop of `traceroute -n -F -f T -m T ADDRESS SIZE` (Dmitry Butskoy's, Linux): who answered a packet of that size.

export interface SizedAnswer {
  /** Who answered; null where nobody did, or where this host's own kernel refused to send. */
  readonly from: string | null;
  /** Milliseconds; null where nobody answered. */
  readonly rtt: number | null;
  /** Fragmentation needed: the next hop's MTU, 0 where the message names none; null where it was no such message. */
  readonly tooBig: number | null;
  /** Another error, as traceroute writes it (`!H`, `!X`, …). */
  readonly error: string | null;
}

const ADDRESS = /^[0-9A-Fa-f]*[.:][0-9A-Fa-f.:]*$/;

function fields(line: string): SizedAnswer[] {
  const words = line.trim().split(/\s+/).slice(1);
  const answers: { from: string | null; rtt: number | null; tooBig: number | null; error: string | null }[] = [];
  let from: string | null = null;
  words.forEach((word, i) => {
    const last = answers.at(-1);
    if (word === "*") {
      from = null;
      // A refusal of the own kernel is written as a star with a time.
      if (words[i + 2] !== "ms") answers.push({ from: null, rtt: null, tooBig: null, error: null });
    } else if (word === "ms" || words[i + 1] === "ms") {
      const rtt = Number(word);
      if (word !== "ms" && Number.isFinite(rtt) && rtt >= 0) answers.push({ from, rtt, tooBig: null, error: null });
    } else if (word.startsWith("!") && last !== undefined && last.rtt !== null) {
      const big = /^!F(?:-(\d{1,5}))?$/.exec(word);
      if (big === null) last.error = word.slice(0, 12);
      else last.tooBig = Number(big[1] ?? 0);
    } else if (ADDRESS.test(word)) from = word;
  });
  return answers;
}

/** Every answer of a finished run; empty when the text is no such run. */
export function parseSizedTraceroute(stdout: string): SizedAnswer[] {
  const lines = stdout.split("\n").slice(0, -1);
  if (!/^traceroute to /.test(lines[0] ?? "")) return [];
  return lines.filter((line) => /^ ?\d{1,3} {2}/.test(line)).flatMap(fields);
}

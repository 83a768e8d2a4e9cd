// Reads the one hop of `traceroute -n -F -f T -m T ADDRESS SIZE` (Dmitry Butskoy's, Linux): who answered a packet of that size.

export interface SizedAnswer {
  /** Who answered; null where nobody did, or where this host's own kernel refused to send. */
  readonly from: string | null;
  /** Milliseconds; null where nobody answered. */
  readonly rtt: number | null;
  /** The answer was that the packet is too big. */
  readonly tooBig: boolean;
  /** Next hop's MTU, bytes, where such a message names one. */
  readonly mtu: number | null;
  /** Another error, as traceroute writes it (`!H`, `!X`, …). */
  readonly error: string | null;
}

const ADDRESS = /^[0-9A-Fa-f]*[.:][0-9A-Fa-f.:]*$/;

type Draft = { -readonly [Key in keyof SizedAnswer]: SizedAnswer[Key] };

const unanswered = (): Draft => ({ from: null, rtt: null, tooBig: false, mtu: null, error: null });

/** Reads what stands behind the hop's number: `address time ms remark time ms …`, a star for each silence. */
function readAnswers(line: string): SizedAnswer[] {
  const words = line.trim().split(/\s+/).slice(1);
  const answers: Draft[] = [];
  let from: string | null = null;
  words.forEach((word, i) => {
    const last = answers.at(-1);
    const big = /^!F(?:-(\d{1,5}))?$/.exec(word);
    if (word === "*") {
      from = null;
      // A refusal by the own kernel is written as a star with a time.
      if (words[i + 2] !== "ms") answers.push(unanswered());
    } else if (words[i + 1] === "ms") {
      if (/^\d{1,6}\.\d{3}$/.test(word)) answers.push({ ...unanswered(), from, rtt: Number(word) });
    } else if (word.startsWith("!") && last !== undefined && last.rtt !== null) {
      if (big === null) last.error = word.slice(0, 12);
      else Object.assign(last, { tooBig: true, mtu: big[1] === undefined ? null : Number(big[1]) });
    } else if (ADDRESS.test(word)) from = word;
  });
  return answers;
}

/** Every answer of a finished run; empty when the text is no such run. */
export function parseSizedTraceroute(stdout: string): SizedAnswer[] {
  const lines = stdout.split("\n").slice(0, -1);
  if (!/^traceroute to /.test(lines[0] ?? "")) return [];
  return lines.filter((line) => /^ ?\d{1,3} {2}/.test(line)).flatMap(readAnswers);
}

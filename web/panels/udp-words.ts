// A UDP stream in words: what was lost each way, and what the clocks allow to be said.
import type { Result } from "#contract/result";
import { formatPercent, formatText, inSentence, reasonText, sentence } from "../format.ts";
import type { Tone } from "../health.ts";
import { lossLevel, lossOf } from "../loss.ts";

type Measured = Pick<Result, "metrics" | "reasons" | "destination" | "status" | "error">;

const known = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

/** "2.3 % up and none down"; null where the directions are not told apart. */
function lossWords({ metrics }: Pick<Result, "metrics">): string | null {
  const { udp_loss_up_pct: up, udp_loss_down_pct: down } = metrics;
  if (!known(up) || !known(down)) return null;
  const share = (value: number) => (value === 0 ? "none" : `${formatPercent(value)} %`);
  return `${share(up)} up and ${share(down)} down`;
}

export function udpVerdict(result: Measured): { tone: Tone; text: string } {
  const { metrics, destination, error } = result;
  const time = known(metrics.udp_rtt_median) ? ` in ${formatText("udp_rtt_median", metrics.udp_rtt_median)}` : "";
  const answers = `${inSentence(destination)} answers the stream${time}`;
  const rest = error ? ` ${sentence(error.message)}` : "";
  const loss = lossOf(metrics);
  if (loss === null) return { tone: result.status === "ok" ? "ok" : "warn", text: `${answers}.${rest}` };
  if (loss === 0) return { tone: error ? "warn" : "ok", text: `${answers}, without loss either way.${rest}` };
  const ways = lossWords(result);
  const lost = ways === null ? `${formatPercent(loss)} % of packets were lost there and back` : `packets were lost: ${ways}`;
  return { tone: lossLevel(loss) === "high" ? "bad" : "warn", text: `${answers}, but ${lost}.${rest}` };
}

/** A sentence with the reason a metric is missing, where one was given. */
const because = (text: string, reason: string | undefined) => (reason === undefined ? text : `${text} ${reasonText(reason)}.`);

/** Why one-way delay is given, or why not. */
export function oneWayText({ metrics, reasons }: Pick<Result, "metrics" | "reasons">): string {
  const { udp_owd_up_ms: up, udp_owd_down_ms: down, udp_owd_err_ms: bound, udp_clock_synced: synced } = metrics;
  if (known(up) && known(down)) {
    const within = known(bound) ? `, to within ${formatText("udp_owd_err_ms", bound)}` : "";
    return `Both ends say that their clocks are synchronised${within}, so the delay of each way is given on its own.`;
  }
  if (synced === true) {
    const within = known(bound) ? ` of ${formatText("udp_owd_err_ms", bound)}` : "";
    return `Both clocks say that they are synchronised, but their error bound${within} is too large beside this round trip: the delay of one way alone is not given.`;
  }
  if (synced === false)
    return "The delay of one way alone is not given: at least one of the two clocks is not synchronised, and a wrong clock would look like delay.";
  return because("The delay of one way alone is not given.", reasons.udp_owd_up_ms);
}

/** How far the clocks are apart, with the bound of the estimate; what does not depend on it is named. */
export function clockText({ metrics, reasons }: Pick<Result, "metrics" | "reasons">): string {
  const { clock_offset_est_ms: offset, clock_offset_err_ms: bound } = metrics;
  if (!known(offset)) return because("How far the two clocks are apart is not known.", reasons.clock_offset_est_ms);
  const size = formatText("clock_offset_est_ms", Math.abs(offset));
  const within = known(bound) ? `, give or take ${formatText("clock_offset_err_ms", bound)}` : "";
  const where = offset === 0 ? "agrees with this agent's" : `is ${size} ${offset > 0 ? "ahead of" : "behind"} this agent's`;
  return `The reflector's clock ${where}${within}. Loss, jitter and round trip do not depend on it.`;
}

// What a host's owner allows, in words.
import type { ClientDetail } from "#contract/api";
import { bytesText } from "./byte-units.ts";
import { formatNumber, typeWord } from "./format.ts";
import { notMeasured } from "./not-measured.ts";
import { intervalText } from "./time.ts";

type Consent = NonNullable<ClientDetail["consent"]>;

export interface ConsentRule {
  readonly label: string;
  readonly text: string;
  /** Items of a list; the text says what they are. */
  readonly items: readonly string[];
}

const rule = (label: string, text: string, items: readonly string[] = []): ConsentRule => ({ label, text, items });

function typesRule(types: readonly string[]): ConsentRule {
  return types.length === 0
    ? rule("Test types", "none: it measures nothing")
    : rule("Test types", `only ${types.map(typeWord).join(", ")}`);
}

const placesRule = (label: string, text: string, none: string, places: readonly string[]): ConsentRule =>
  places.length === 0 ? rule(label, none) : rule(label, text, places);

/** Each rule of the file, in the order people ask; what the file does not mention is allowed. */
export function consentRules(consent: Consent): ConsentRule[] {
  const { types, destinations, forbidden_destinations: forbidden, min_interval_s: interval } = consent;
  const { max_packets_per_s: pace, max_bytes_per_run: run, max_bytes_per_day: day, reflector, self_test } = consent;
  const { rules_untold: untold } = consent;
  const rules = [
    types && typesRule(types),
    destinations && placesRule("Destinations", "only these:", "none: it contacts nobody", destinations),
    forbidden && placesRule("Never", "not these, whatever else is allowed:", "nothing is forbidden by name", forbidden),
    interval !== undefined && rule("How often", `a test at most every ${intervalText(interval)}`),
    pace !== undefined && rule("How fast", `at most ${formatNumber(pace)} packets or requests a second, all tests together`),
    run !== undefined && rule("How much, one run", `at most ${bytesText(run)}, both directions together`),
    day !== undefined && rule("How much, one day", `at most ${bytesText(day)} for all runs of a day (UTC)`),
    reflector !== undefined &&
      rule(
        "Measured by others",
        reflector ? "other clients may measure to this host" : "no other client may measure to this host",
      ),
    self_test !== undefined &&
      rule("Self-test", self_test ? "the agent may look whether gateway, resolver and server answer" : "the agent may not look"),
    untold !== undefined && rule("And more", `${untold} further rules are in force that the agent does not list`),
  ];
  return rules.filter((one) => one !== undefined && one !== false);
}

type OneTest = Pick<ClientDetail["tests"][number], "id" | "type" | "interval_s">;

/** Why a test does not run on this host: in the agent's own words, or by a rule that needs no more to be judged. */
export function refusalOf(test: OneTest, { consent, latest }: Pick<ClientDetail, "consent" | "latest">): string | null {
  const newest = latest.find((result) => result.test_id === test.id && notMeasured(result)?.code === "not_consented");
  if (newest?.error) return newest.error.message;
  if (consent?.types && !consent.types.includes(test.type))
    return `this host's owner does not allow ${typeWord(test.type)} tests`;
  const { min_interval_s: least } = consent ?? {};
  if (least !== undefined && test.interval_s < least) return `this host's owner asks for ${intervalText(least)} between two runs`;
  return null;
}

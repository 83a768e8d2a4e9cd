// What a result's flags say: those of the measuring host by their label, with their meaning.
import { isHostFlag } from "#contract/flags";
import { flagMeaning, flagWord } from "../state/bands.ts";

/** A hostile agent may send long ones. */
const LONGEST = 64;

/** The flags of the host, small, beside a run's status. */
export function FlagChips({ flags }: { flags: readonly string[] }) {
  return (
    <>
      {flags.filter(isHostFlag).map((flag) => (
        <span key={flag} class="chip chip-small chip-flag" title={flagMeaning(flag)}>
          {flagWord(flag)}
        </span>
      ))}
    </>
  );
}

/** Every flag of a run with what it means, as text. */
export function FlagMeanings({ flags }: { flags: readonly string[] }) {
  if (flags.length === 0) return null;
  return (
    <ul class="flag-meanings" data-testid="flag-meanings">
      {flags.map((flag) => (
        <li key={flag}>
          <strong>{flagWord(flag.slice(0, LONGEST))}</strong> <span class="text-secondary">{flagMeaning(flag)}</span>
        </li>
      ))}
    </ul>
  );
}

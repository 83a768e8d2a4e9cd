// Choices of the test form that are buttons: the type and the packet size.
import { LIMITS } from "#contract/limits";
import { TEST_TYPE_NAMES, type TestTypeName, testType } from "#contract/test-types/index";
import { Field } from "../parts/field.tsx";

/** Small, powers of two, the IPv6 minimum MTU, and the largest unfragmented payload of Ethernet. */
const PACKET_SIZES = [64, 128, 256, 512, 1024, 1280, 1472] as const;

export function TypeChoice({
  value,
  disabled,
  onValue,
}: {
  value: TestTypeName;
  disabled: boolean;
  onValue: (type: TestTypeName) => void;
}) {
  return (
    <fieldset class="choices choices-type" disabled={disabled}>
      <legend class="form-label">Type</legend>
      {TEST_TYPE_NAMES.map((name) => (
        <button
          key={name}
          type="button"
          class="choice choice-type"
          data-testid="test-type"
          value={name}
          aria-pressed={value === name}
          onClick={() => onValue(name)}
        >
          <strong>{testType(name).label}</strong>
          <span class="form-text">{testType(name).summary}</span>
        </button>
      ))}
    </fieldset>
  );
}

export function PacketSize({
  value,
  usual,
  error,
  onValue,
}: {
  value: string;
  /** Empty where the tool decides. */
  usual: string;
  error: string | undefined;
  onValue: (size: string) => void;
}) {
  return (
    <div class="packet-size">
      <Field
        label="Packet size"
        error={error}
        hint={`Payload bytes, ${LIMITS.packetSizeMin} to ${LIMITS.packetSizeMax.toLocaleString("en-GB")}; ${usual === "" ? "empty takes what the tool sends" : `${usual} is usual`}.`}
      >
        {(ids) => (
          <div class="choices">
            {PACKET_SIZES.map((size) => (
              <button
                key={size}
                type="button"
                class="choice"
                aria-pressed={value === String(size)}
                onClick={() => onValue(String(size))}
              >
                {size}
              </button>
            ))}
            <input
              {...ids}
              class={`form-control choice-free${error ? " is-invalid" : ""}`}
              type="number"
              data-testid="test-packet-size"
              value={value}
              onInput={(event) => onValue(event.currentTarget.value)}
            />
          </div>
        )}
      </Field>
    </div>
  );
}

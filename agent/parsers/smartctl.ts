// Reads what `smartctl --json` prints (smartmontools 7, JSON format 1.0). Text in, a drive's state out.

export type SmartTrouble = "standby" | "no_permission" | "unsupported" | "failed";

export interface SmartReading {
  readonly model: string | null;
  /** The drive's own verdict on itself. */
  readonly passed: boolean | null;
  readonly temperature_c: number | null;
  readonly power_on_hours: number | null;
  /** ATA attribute 5; the grown defect list of a SCSI drive. */
  readonly reallocated: number | null;
  /** ATA attribute 197. */
  readonly pending: number | null;
  /** NVMe: endurance used, percent; may exceed 100. */
  readonly percent_used: number | null;
}

type Json = Readonly<Record<string, unknown>>;

const object = (value: unknown): Json =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
const array = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const count = (value: unknown): number | null =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
const text = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value.slice(0, 200) : null);
/** NVMe drives answer 0 K, seen as −273 °C, where they have no sensor. */
const celsius = (value: unknown): number | null => (typeof value === "number" && value > -55 && value < 150 ? value : null);

/** The raw value of an ATA attribute. Some vendors pack several figures into its 48 bits: the count is in the lower 32. */
function attribute(root: Json, id: number): number | null {
  const row = array(object(root.ata_smart_attributes).table)
    .map(object)
    .find((each) => each.id === id);
  const value = count(object(row?.raw).value);
  return value === null ? null : value % 2 ** 32;
}

/** Exit status bits 0 and 1: the command line or the device was refused; bit 2, a command to the drive that failed, is no obstacle. */
const NOT_READ = 0b11;

function trouble(root: Json): SmartTrouble | undefined {
  const status = count(object(root.smartctl).exit_status) ?? 0;
  const messages = array(object(root.smartctl).messages).map((each) => text(object(each).string) ?? "");
  const said = (what: RegExp) => messages.some((message) => what.test(message));
  if (said(/in (STANDBY|SLEEP)\S*.* mode/i)) return "standby";
  if ((status & NOT_READ) !== 0) {
    const mode = text(object(root.power_mode).ata_string) ?? "";
    if (/STANDBY|SLEEP/i.test(mode)) return "standby";
    if (said(/permission denied|not permitted|requires? (root|admin)/i)) return "no_permission";
    return said(/unable to detect device type|unknown usb bridge/i) ? "unsupported" : "failed";
  }
  return object(root.smart_support).available === false ? "unsupported" : undefined;
}

/** A drive's state, or why there is none. Garbage is `failed`. */
export function parseSmartctl(output: string): SmartReading | SmartTrouble {
  let root: Json;
  try {
    root = object(JSON.parse(output));
  } catch {
    return "failed";
  }
  if (root.smartctl === undefined) return "failed";
  const wrong = trouble(root);
  if (wrong !== undefined) return wrong;
  const nvme = object(root.nvme_smart_health_information_log);
  const passed = object(root.smart_status).passed;
  return {
    model: text(root.model_name) ?? text(root.scsi_model_name),
    passed: typeof passed === "boolean" ? passed : null,
    temperature_c: celsius(object(root.temperature).current ?? nvme.temperature),
    power_on_hours: count(object(root.power_on_time).hours ?? nvme.power_on_hours),
    reallocated: attribute(root, 5) ?? count(root.scsi_grown_defect_list),
    pending: attribute(root, 197),
    percent_used: count(nvme.percentage_used),
  };
}

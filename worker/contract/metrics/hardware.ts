// The host's hardware: sensors, drives, Wi-Fi. Most hosts have a part of it; what is not there is null with its reason.
import { familyOf } from "./define.ts";

const { number, flag, word } = familyOf("host");

export const HARDWARE_METRICS = {
  cpu_temperature: number("CPU temperature", "°C", "lower"),
  disk_temperature: number("Drive temperature, hottest", "°C", "lower"),
  fan_rpm_min: number("Fan speed, slowest fan", "rpm", "neither"),
  power_watts: number("Power drawn, as far as metered", "W", "neither", "kernel powercap"),
  battery_pct: number("Battery charge", "%", "higher"),
  on_ac: flag("On mains power", "higher"),
  smart_passed: flag("Drives pass SMART", "higher", "ATA ACS-3, NVMe 1.4"),
  smart_reallocated: number("Reallocated sectors, worst drive", "count", "lower", "ATA ACS-3"),
  smart_pending: number("Pending sectors, worst drive", "count", "lower", "ATA ACS-3"),
  nvme_percent_used: number("NVMe endurance used, worst drive", "%", "lower", "NVMe 1.4"),
  drive_power_on_hours: number("Drive age, oldest drive", "h", "neither"),
  edac_ce: number("Memory errors corrected", "count", "lower", "kernel EDAC"),
  edac_ue: number("Memory errors not corrected", "count", "lower", "kernel EDAC"),
  wifi_ssid: word("Wi-Fi network"),
  wifi_rssi_dbm: number("Wi-Fi signal", "dBm", "higher", "IEEE 802.11"),
  wifi_freq_mhz: number("Wi-Fi frequency", "MHz", "neither", "IEEE 802.11"),
  wifi_tx_mbps: number("Wi-Fi bit rate sent", "Mbit/s", "higher", "IEEE 802.11"),
  wifi_rx_mbps: number("Wi-Fi bit rate received", "Mbit/s", "higher", "IEEE 802.11"),
  wifi_tx_retries_pct: number("Wi-Fi frames sent again", "%", "lower", "IEEE 802.11"),
  containers_running: number("Containers running", "count", "neither"),
  reboot_required: flag("Restart asked for by the system", "lower"),
} as const;

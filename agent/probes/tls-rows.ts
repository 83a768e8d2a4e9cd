// What people see of a tls run: its two phases as they end, then the certificate as a card.
import type { Measurement } from "#contract/result";
import { cell, figure, milliseconds, type Row, type Tone } from "../rows.ts";

const TITLE_WIDTH = 12;

export const phaseRow = (phase: string, ms: number): Row => [
  cell(phase, TITLE_WIDTH, "dim"),
  figure(milliseconds(ms), 10),
  cell("done", 0, "good"),
];

const title = (text: string) => cell(text, TITLE_WIDTH, "bold");
const text = (value: unknown): string => (value === null || value === undefined ? "–" : String(value));

/** Days left: red when over or within a week, yellow within a month. */
function daysTone(days: unknown): Tone {
  if (typeof days !== "number") return "dim";
  return days < 7 ? "bad" : days < 30 ? "warn" : "good";
}

function daysText(days: unknown, until: unknown): string {
  if (typeof days !== "number") return "–";
  const day = text(until).slice(0, 10);
  // Rounded down both ways: a certificate that ended an hour ago has -1 whole days left and ended 0 days ago.
  return days < 0 ? `ended ${day}, ${-days - 1} days ago` : `until ${day}, ${days} days left`;
}

/** The finished run: the handshake, then the certificate. */
export function tlsView({ metrics, detail }: Measurement): readonly Row[] {
  const rows: Row[] = [
    [
      title("handshake"),
      cell(
        `${text(metrics.tls_version)} in ${milliseconds(metrics.tls_handshake_ms)}, TCP before it ${milliseconds(metrics.tls_tcp_ms)}`,
      ),
    ],
  ];
  if (typeof metrics.tls_cipher === "string") {
    const staple = metrics.tls_ocsp_stapled === true ? ", OCSP stapled" : "";
    rows.push([title("cipher"), cell(`${metrics.tls_cipher}, ALPN ${text(metrics.tls_alpn)}${staple}`)]);
  }
  if (typeof metrics.tls_versions === "string") rows.push([title("versions"), cell(metrics.tls_versions)]);
  if (typeof metrics.cert_fingerprint_sha256 !== "string") return rows;
  const verdict =
    metrics.tls_authorized === true ? cell("valid", 0, "good") : cell(`not valid: ${text(metrics.tls_error)}`, 0, "bad");
  rows.push(
    [title("certificate"), verdict],
    [title("  subject"), cell(text(metrics.cert_subject_cn))],
    [title("  names"), cell(text(metrics.cert_sans).slice(0, 100))],
    [title("  issuer"), cell(text(metrics.cert_issuer))],
    [title("  time"), cell(daysText(metrics.cert_days_left, metrics.cert_not_after), 0, daysTone(metrics.cert_days_left))],
    [title("  key"), cell(`${text(metrics.cert_key_type)} ${text(metrics.cert_key_bits)} bits`)],
    [title("  SHA-256"), cell(metrics.cert_fingerprint_sha256, 0, "dim")],
  );
  const chain = Array.isArray(detail.chain) ? detail.chain : [];
  for (const link of chain.slice(1)) {
    const subject: unknown = typeof link === "object" && link !== null && "subject" in link ? link.subject : undefined;
    rows.push([title("  signed by"), cell(text(subject).slice(0, 100), 0, "dim")]);
  }
  return rows;
}

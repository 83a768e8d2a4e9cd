// A sample of a host that has much of everything: it still fits into one item, and its readers can still read it.
import { expect, test } from "vitest";
import { type HostDetail, hostDetailSchema } from "#contract/host-detail";
import { metricsOf } from "#contract/metrics";
import { fitDetail } from "../../agent/host/detail-size.ts";
import { HostSampler } from "../../agent/host/index.ts";
import { encode } from "../../agent/outbox-items.ts";
import { MetricSheet } from "../../agent/probes/probe.ts";

const many = <Row>(count: number, row: (i: number) => Row): Row[] => Array.from({ length: count }, (_, i) => row(i));

const disk = (i: number) => ({
  name: `sd${i}`,
  ...{ read_iops: 1234.567, write_iops: 1234.567, read_bytes_sec: 1234567.891, write_bytes_sec: 1234567.891 },
  ...{ read_await_ms: 12.345, write_await_ms: 12.345, util_pct: 12.345, temperature_c: 35 },
});

const mount = (i: number) => ({
  mount: `/var/lib/kubelet/pods/3f1c2c3e-aaaa-bbbb-cccc-1234567890ab/volumes/kubernetes.io~csi/pvc-${i}-3f1c2c3e-aaaa/mount`,
  ...{ type: "ext4", total_bytes: 123456789012, used_bytes: 12345678901, used_pct: 12.345 },
  ...{ inodes_used_pct: 1.234, read_only: false },
});

const LARGE: HostDetail = {
  cores: many(256, (i) => ({ name: `cpu${i}`, busy_pct: 12.345 })),
  file_systems: many(64, mount),
  disks: many(64, disk),
  containers: many(50, (i) => ({
    id: "0123456789ab",
    name: `k8s_name_pod-${i}_space`,
    cpu_pct: 12.345,
    memory_bytes: 123456789,
  })),
  temperatures: many(600, (i) => ({ chip: "coretemp", label: `Core ${i}`, value: 45 })),
  default_gateway: "192.0.2.1",
};

test("a large host's sample keeps a detail, says that it is cut, and is readable", async () => {
  const sheet = new MetricSheet();
  for (const name of metricsOf("host")) sheet.set(name, 123456789.123, "unsupported");
  const sampler = new HostSampler({ read: () => Promise.resolve({ sheet, detail: LARGE }) });
  const sample = await sampler.sample();
  expect(sample.flags).toEqual(["detail_cut"]);
  const kept = JSON.parse(encode({ ...sample })) as { flags: string[]; detail: unknown };
  expect(kept.flags).toEqual(["detail_cut"]);
  const { cores, file_systems, disks, temperatures, default_gateway } = hostDetailSchema.parse(kept.detail);
  expect(default_gateway).toBe("192.0.2.1");
  // The beginnings stay: what matters most stands first.
  for (const list of [cores, file_systems, disks, temperatures]) expect(list?.length).toBeGreaterThan(10);
  expect([cores?.[0]?.name, disks?.[0]?.name, temperatures?.[0]?.label]).toEqual(["cpu0", "sd0", "Core 0"]);
});

test("what fits stays as it is; more rows than readers take do not", () => {
  const small: HostDetail = { disks: many(3, disk), primary_interface: "eth0" };
  expect(fitDetail(small)).toEqual({ detail: small, cut: false });
  const { detail, cut } = fitDetail({ fans: many(300, (i) => ({ chip: "x", label: `${i}`, value: 1 })) });
  expect([detail.fans?.length, cut]).toEqual([256, true]);
  expect(hostDetailSchema.safeParse(detail).success).toBe(true);
});

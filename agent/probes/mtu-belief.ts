// Which path MTU is how likely, given which sizes came back, which a router refused and which vanished. Pure.

/** What is known of one size, bytes of IP. */
export interface SizeEvidence {
  readonly size: number;
  readonly passed: boolean;
  /** A router said that it is too big. */
  readonly refused: boolean;
  /** Probes that vanished while others came through. */
  readonly vanished: number;
}

/** MTUs of common links and tunnels: Ethernet, PPPoE, GRE, 6in4, IPsec, VXLAN, WireGuard, IPv6's least, jumbo frames. */
const COMMON = [
  1280, 1300, 1350, 1358, 1380, 1400, 1412, 1420, 1424, 1428, 1430, 1436, 1438, 1440, 1442, 1446, 1450, 1452, 1454, 1456, 1458,
  1460, 1464, 1468, 1472, 1476, 1480, 1484, 1488, 1490, 1492, 1496, 1500, 4352, 4470, 8192, 8950, 9000,
];
const COMMON_WEIGHT = 8;
/** IPv6 links carry 1280 bytes, and hardly any IPv4 path less. */
const USUAL_LEAST = 1280;
const UNUSUAL_WEIGHT = 0.02;
const TOP_WEIGHT = 100;
const CLAIM_WEIGHT = 2000;
/** How far a router's word is believed where larger packets come through all the same. */
const REFUSED_LIKELIHOOD = 1e-6;
/** Believed loss of packets that fit, at least and at most: no path is that good, and none that bad is measurable. */
const LOSS_RANGE = [0.02, 0.97] as const;

export class MtuBelief {
  readonly low: number;
  readonly high: number;
  readonly #prior: Float64Array;
  /** atLeast[i]: probability that the path MTU is at least low + i. */
  readonly #atLeast: Float64Array;

  /** Everything from `low` (which passes) to `high` is possible; both in bytes. */
  constructor(low: number, high: number) {
    this.low = low;
    this.high = high;
    this.#prior = new Float64Array(high - low + 1).map((_, i) => (low + i >= USUAL_LEAST ? 1 : UNUSUAL_WEIGHT));
    for (const size of COMMON) if (size > low && size < high) this.#prior[size - low] = COMMON_WEIGHT;
    this.#prior[high - low] = TOP_WEIGHT;
    this.#atLeast = new Float64Array(high - low + 2);
  }

  /** A router claims this to be its next hop's MTU: worth a try, no more. */
  claim(mtu: number): void {
    if (mtu >= this.low && mtu <= this.high) this.#prior[mtu - this.low] = CLAIM_WEIGHT;
  }

  /** Weighs all evidence anew. `loss` is the share of fitting packets that get lost, 0 to 1. */
  update(evidence: readonly SizeEvidence[], loss: number): void {
    const q = Math.min(LOSS_RANGE[1], Math.max(LOSS_RANGE[0], loss));
    const floor = Math.max(this.low, ...evidence.filter((each) => each.passed).map((each) => each.size));
    const against = new Float64Array(this.high - this.low + 2);
    for (const { size, refused, vanished } of evidence) {
      if (size <= floor || size > this.high) continue;
      against[size - this.low] = (against[size - this.low] ?? 0) + vanished * Math.log(q);
      if (refused) against[size - this.low] = (against[size - this.low] ?? 0) + Math.log(REFUSED_LIKELIHOOD);
    }
    let log = 0;
    const mass = this.#prior.map((prior, i) => {
      log += against[i] ?? 0;
      return this.low + i < floor ? 0 : prior * Math.exp(log);
    });
    const total = mass.reduce((sum, each) => sum + each, 0);
    this.#atLeast[mass.length] = 0;
    for (let i = mass.length - 1; i >= 0; i--) this.#atLeast[i] = (this.#atLeast[i + 1] ?? 0) + (mass[i] ?? 0) / total;
  }

  /** Probability that packets of this size pass. */
  passes(size: number): number {
    if (size <= this.low) return 1;
    return size > this.high ? 0 : (this.#atLeast[size - this.low] ?? 0);
  }

  /** The most likely path MTU and its probability. */
  likeliest(): { mtu: number; probability: number } {
    let mtu = this.low;
    let probability = 0;
    for (let size = this.low; size <= this.high; size++) {
      const here = this.passes(size) - this.passes(size + 1);
      if (here > probability) {
        mtu = size;
        probability = here;
      }
    }
    return { mtu, probability };
  }

  /**
   * Up to `count` sizes, ascending, whose answers cut what is still possible into equally likely parts. Beyond `ceiling` none
   * is chosen: whatever is larger counts as if it were the ceiling.
   */
  bestSizes(count: number, ceiling = this.high): number[] {
    const chosen = new Set<number>();
    const likeliest = this.likeliest();
    if (likeliest.probability > 0.3) {
      for (const size of [likeliest.mtu, likeliest.mtu + 1]) if (size <= ceiling && this.#open(size)) chosen.add(size);
    }
    const cuts = Math.max(1, count - chosen.size);
    for (let cut = 1; cut <= cuts && chosen.size < count; cut++) {
      chosen.add(Math.min(ceiling, this.#quantile(1 - cut / (cuts + 1))));
    }
    return [...chosen].filter((size) => this.#open(size)).sort((a, b) => a - b);
  }

  #open(size: number): boolean {
    return size > this.low && size <= this.high && this.passes(size) < 1 - 1e-9 && this.passes(size) > 1e-9;
  }

  /** Smallest size that passes with at most this probability. */
  #quantile(level: number): number {
    let [low, high] = [this.low, this.high];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.passes(middle) <= level) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

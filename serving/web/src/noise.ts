const LIMBS = 8; // of 16 bits, lowest first: 128 bits
const MULTIPLIER = limbs(0x2360ed051fc65da44385df649fccf645n);

/**
 * Uniform numbers of one stream: those that the Python sampler draws from the same random seed.
 *
 * It is NumPy's PCG64, seeded by `SeedSequence([randomSeed, stream])`, and its float32 in [0, 1).
 *
 * Reference: M. O'Neill, "PCG: A family of simple fast space-efficient statistically good
 * algorithms for random number generation", 2014.
 */
export class Noise {
  private state = new Float64Array(LIMBS);
  private readonly increment: Float64Array;
  private readonly product = new Float64Array(LIMBS);
  private kept: number | null = null; // the upper half of 64 bits, of which the lower was given

  constructor(randomSeed: number, stream: number) {
    const [a, b, c, d] = seedSequence([randomSeed, stream]);
    this.increment = limbs((((c << 64n) | d) << 1n) | 1n);
    this.step();
    const start = limbs((a << 64n) | b);
    this.state = this.state.map((each, i) => each + start[i]);
    this.step();
  }

  /** Fill with float32 in [0, 1), 1 never reached. */
  fill(out: Float32Array): void {
    for (let i = 0; i < out.length; i++) out[i] = (this.next() >>> 8) * 2 ** -24;
  }

  private next(): number {
    if (this.kept !== null) {
      const high = this.kept;
      this.kept = null;
      return high;
    }
    this.step();
    const s = this.state;
    const word = (i: number): number => s[i] + s[i + 1] * 65536;
    const low = (word(0) ^ word(4)) >>> 0;
    const high = (word(2) ^ word(6)) >>> 0;
    const turn = s[7] >>> 10; // 6 bits
    const [x, y] = turn < 32 ? [low, high] : [high, low];
    const by = turn & 31;
    if (by === 0) {
      this.kept = y;
      return x;
    }
    this.kept = ((y >>> by) | (x << (32 - by))) >>> 0;
    return ((x >>> by) | (y << (32 - by))) >>> 0;
  }

  /** state = state * MULTIPLIER + increment, modulo 2**128. */
  private step(): void {
    const { state, product, increment } = this;
    product.set(increment);
    for (let i = 0; i < LIMBS; i++) {
      for (let j = 0; i + j < LIMBS; j++) product[i + j] += state[i] * MULTIPLIER[j];
    }
    let carry = 0;
    for (let i = 0; i < LIMBS; i++) {
      const sum = product[i] + carry;
      carry = Math.floor(sum / 65536);
      state[i] = sum - carry * 65536;
    }
  }
}

function limbs(value: bigint): Float64Array {
  return Float64Array.from({ length: LIMBS }, (_, i) =>
    Number((value >> BigInt(16 * i)) & 0xffffn),
  );
}

/** NumPy's `SeedSequence(entropy).generate_state(4, uint64)`, for integers below 2**53. */
function seedSequence(entropy: number[]): bigint[] {
  const words: number[] = [];
  for (const each of entropy) {
    words.push(each >>> 0);
    if (each >= 2 ** 32) words.push(Math.floor(each / 2 ** 32));
  }
  let constant = 0x43b0d7e5;
  const hash = (value: number): number => {
    value ^= constant;
    constant = Math.imul(constant, 0x931e8875);
    value = Math.imul(value, constant);
    return (value ^ (value >>> 16)) >>> 0;
  };
  const mix = (x: number, y: number): number => {
    const value = Math.imul(x, 0xca01f9dd) - Math.imul(y, 0x4973f715);
    return (value ^ (value >>> 16)) >>> 0;
  };
  const pool = [0, 1, 2, 3].map((i) => hash(words[i] ?? 0));
  for (let from = 0; from < 4; from++) {
    for (let to = 0; to < 4; to++) {
      if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
    }
  }
  for (const word of words.slice(4)) {
    for (let to = 0; to < 4; to++) pool[to] = mix(pool[to], hash(word));
  }
  let factor = 0x8b51f9dd;
  const state = Array.from({ length: 8 }, (_, i) => {
    let value = pool[i % 4] ^ factor;
    factor = Math.imul(factor, 0x58f38ded);
    value = Math.imul(value, factor);
    return (value ^ (value >>> 16)) >>> 0;
  });
  return [0, 2, 4, 6].map((i) => BigInt(state[i]) | (BigInt(state[i + 1]) << 32n));
}

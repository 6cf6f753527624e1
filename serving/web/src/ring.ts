/**
 * A ring buffer of planar float32 audio for one writer and one reader.
 *
 * On shared memory they may sit in two threads: positions are written after the samples.
 */
export class Ring {
  private readonly positions: Int32Array; // read, written: frames since the start, modulo 2**32
  private readonly samples: Float32Array[];

  /** Bytes that a ring of that many channels and frames takes. */
  static bytes(channels: number, frames: number): number {
    return 8 + 4 * channels * frames;
  }

  /** @param frames a power of two, so that positions may wrap round. */
  constructor(
    readonly memory: ArrayBuffer | SharedArrayBuffer,
    readonly channels: number,
    readonly frames: number,
  ) {
    this.positions = new Int32Array(memory, 0, 2);
    this.samples = Array.from(
      { length: channels },
      (_, c) => new Float32Array(memory, 8 + 4 * c * frames, frames),
    );
  }

  get filled(): number {
    return (this.written - Atomics.load(this.positions, 0)) >>> 0;
  }

  get written(): number {
    return Atomics.load(this.positions, 1);
  }

  /** @param audio interleaved; what finds no space is lost. */
  write(audio: Float32Array): void {
    const { channels, frames } = this;
    const count = Math.min(audio.length / channels, frames - this.filled);
    const start = this.written >>> 0;
    for (let i = 0; i < count; i++) {
      const place = (start + i) % frames;
      for (let c = 0; c < channels; c++) this.samples[c][place] = audio[i * channels + c];
    }
    Atomics.store(this.positions, 1, (start + count) | 0);
  }

  /** Take one frame into `out`, a sample per channel; false where there is none. */
  read(out: Float32Array): boolean {
    if (!this.filled) return false;
    const position = Atomics.load(this.positions, 0) >>> 0;
    for (let c = 0; c < this.channels; c++) out[c] = this.samples[c][position % this.frames];
    Atomics.store(this.positions, 0, (position + 1) | 0);
    return true;
  }

  /** Forget what was written before that position. */
  skipTo(position: number): void {
    const ahead = (position - Atomics.load(this.positions, 0)) | 0;
    if (ahead > 0) Atomics.store(this.positions, 0, position);
  }
}

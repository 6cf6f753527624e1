const HEADER_BYTES = 58;
const PART_BYTES = 2 ** 20;
const MOST_BYTES = 2 ** 32 - 1 - HEADER_BYTES; // of a WAV file

/** Collects what the model makes into a WAV file of 32-bit floats: every sample as it came. */
export class Recorder {
  private readonly parts: Blob[] = []; // which a browser may keep on disk
  private recent: Float32Array<ArrayBuffer>[] = [];
  private recentBytes = 0;
  private bytes = 0;

  constructor(
    private readonly channels: number,
    private readonly sampleRate: number,
  ) {}

  get seconds(): number {
    return this.bytes / 4 / this.channels / this.sampleRate;
  }

  /** Add interleaved audio; false where the file is full. */
  add(audio: Float32Array<ArrayBuffer>): boolean {
    if (this.bytes + audio.byteLength > MOST_BYTES) return false;
    this.recent.push(audio);
    this.recentBytes += audio.byteLength;
    this.bytes += audio.byteLength;
    if (this.recentBytes >= PART_BYTES) this.flush();
    return true;
  }

  /** The file so far. */
  wav(): Blob {
    this.flush();
    return new Blob([this.header(), ...this.parts], { type: "audio/wav" });
  }

  private flush(): void {
    this.parts.push(new Blob(this.recent));
    this.recent = [];
    this.recentBytes = 0;
  }

  private header(): ArrayBuffer {
    const view = new DataView(new ArrayBuffer(HEADER_BYTES));
    let place = 0;
    const text = (letters: string): void => {
      for (const letter of letters) view.setUint8(place++, letter.charCodeAt(0));
    };
    const number = (value: number, bytes: 2 | 4): void => {
      if (bytes === 2) view.setUint16(place, value, true);
      else view.setUint32(place, value, true);
      place += bytes;
    };
    const frameBytes = 4 * this.channels;
    text("RIFF");
    number(HEADER_BYTES - 8 + this.bytes, 4);
    text("WAVEfmt ");
    number(18, 4);
    number(3, 2); // IEEE float
    number(this.channels, 2);
    number(this.sampleRate, 4);
    number(this.sampleRate * frameBytes, 4);
    number(frameBytes, 2);
    number(32, 2);
    number(0, 2); // no extension
    text("fact");
    number(4, 4);
    number(this.bytes / frameBytes, 4);
    text("data");
    number(this.bytes, 4);
    return view.buffer;
  }
}

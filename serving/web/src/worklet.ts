import type { AudioOptions, FromAudio, ToAudio } from "./messages";
import { Ring } from "./ring";

// What the audio thread has, and TypeScript's DOM library does not.
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare const sampleRate: number;
declare function registerProcessor(name: string, processor: typeof Player): void;

/** From the page. */
type ToPlayer = { ahead: number } | { port: MessagePort };

const FADE_SECONDS = 0.005;

/**
 * Plays a ring buffer, without a click where it runs dry: the sound fades from its last sample, and
 * comes back, faded in, when enough is there again.
 */
class Player extends AudioWorkletProcessor {
  private readonly ring: Ring;
  private ahead: number;
  private readonly last: Float32Array;
  private gain = 0;
  private flows = false;
  private gaps = 0;

  constructor(options: { processorOptions: AudioOptions }) {
    super();
    const { channels, frames, ahead, memory } = options.processorOptions;
    this.ring = new Ring(memory ?? new ArrayBuffer(Ring.bytes(channels, frames)), channels, frames);
    this.ahead = ahead;
    this.last = new Float32Array(channels);
    this.port.onmessage = ({ data }: MessageEvent<ToPlayer>) => {
      if ("ahead" in data) this.ahead = data.ahead;
      else this.listen(data.port, memory === null);
    };
  }

  private listen(port: MessagePort, tells: boolean): void {
    port.onmessage = ({ data }: MessageEvent<ToAudio>) => {
      if ("audio" in data) this.ring.write(data.audio);
      else {
        this.ring.skipTo(data.skipTo);
        this.flows = false;
      }
    };
    if (tells) this.tell = () => port.postMessage({ filled: this.ring.filled, written: this.ring.written });
  }

  private tell(): void {}

  process(_: Float32Array[][], [output]: Float32Array[][]): boolean {
    const step = 1 / (FADE_SECONDS * sampleRate);
    if (!this.flows && this.ring.filled >= this.ahead) this.flows = true;
    for (let i = 0; i < output[0].length; i++) {
      if (this.flows && !this.ring.read(this.last)) {
        this.flows = false;
        this.port.postMessage({ gaps: ++this.gaps } satisfies FromAudio);
      }
      this.gain = Math.min(1, Math.max(0, this.gain + (this.flows ? step : -step)));
      for (let c = 0; c < output.length; c++) output[c][i] = this.gain * this.last[c];
    }
    this.tell();
    return true;
  }
}

registerProcessor("player", Player);

import { PageError } from "./errors";
import type { AudioOptions, FromAudio, Order } from "./messages";
import type { Metadata } from "./metadata";
import { Ring } from "./ring";

declare const WORKLET_CODE: string;

const MOST_AHEAD_SECONDS = 2;
const FADE_SECONDS = 0.015;
const SPECTRUM_SECONDS = 0.08; // from 256 to 32768 samples at all rates that a browser plays

/**
 * The loudspeaker: an audio context at the model's rate (the browser converts it to the device's),
 * whose audio thread plays what the worker writes.
 */
export class Speaker {
  readonly analyser: AnalyserNode;
  private readonly gain: GainNode;
  private volume = 1;
  private paused = true;

  private constructor(
    private readonly context: AudioContext,
    private readonly node: AudioWorkletNode,
  ) {
    this.gain = new GainNode(context, { gain: 0 });
    const fftSize = 2 ** Math.round(Math.log2(SPECTRUM_SECONDS * context.sampleRate));
    this.analyser = new AnalyserNode(context, { fftSize, smoothingTimeConstant: 0 });
    node.connect(this.gain).connect(context.destination);
    this.gain.connect(this.analyser);
  }

  /**
   * @param worker told where its audio goes.
   * @param ahead seconds to have ready before sound begins.
   * @param onGap called with the number of times that the sound has run dry.
   * @throws PageError where the browser has no such audio output.
   */
  static async open(
    metadata: Metadata,
    worker: Worker,
    ahead: number,
    onGap: (gaps: number) => void,
  ): Promise<Speaker> {
    const { sampleRate, channels, frame, delay } = metadata;
    const room = MOST_AHEAD_SECONDS * sampleRate + 2 * frame + delay;
    const frames = 2 ** Math.ceil(Math.log2(room));
    const memory = globalThis.crossOriginIsolated
      ? new SharedArrayBuffer(Ring.bytes(channels, frames))
      : null;
    let context: AudioContext;
    try {
      context = new AudioContext({ sampleRate });
    } catch {
      throw new PageError(`This browser cannot play at ${sampleRate} Hz.`);
    }
    if (!context.audioWorklet) throw new PageError("This browser has no AudioWorklet.");
    // A page on a disk may not load one from a blob.
    const code = `data:text/javascript,${encodeURIComponent(WORKLET_CODE)}`;
    await context.audioWorklet.addModule(code);
    const node = new AudioWorkletNode(context, "player", {
      numberOfInputs: 0,
      outputChannelCount: [channels],
      processorOptions: {
        channels,
        frames,
        ahead: ahead * sampleRate,
        memory,
      } satisfies AudioOptions,
    });
    node.port.onmessage = ({ data }: MessageEvent<FromAudio>) => onGap(data.gaps);
    const { port1, port2 } = new MessageChannel();
    node.port.postMessage({ port: port1 }, [port1]);
    worker.postMessage({ kind: "output", port: port2, memory, frames } satisfies Order, [port2]);
    return new Speaker(context, node);
  }

  async play(): Promise<void> {
    this.paused = false;
    await this.context.resume();
    this.fadeTo(this.volume);
  }

  async pause(): Promise<void> {
    this.paused = true;
    this.fadeTo(0);
    await new Promise((resolve) => setTimeout(resolve, 6000 * FADE_SECONDS));
    if (this.paused && this.context.state === "running") await this.context.suspend();
  }

  setVolume(volume: number): void {
    this.volume = volume;
    if (!this.paused) this.fadeTo(volume);
  }

  setAhead(seconds: number): void {
    this.node.port.postMessage({ ahead: seconds * this.context.sampleRate });
  }

  close(): void {
    void this.context.close();
  }

  private fadeTo(volume: number): void {
    this.gain.gain.setTargetAtTime(volume, this.context.currentTime, FADE_SECONDS);
  }
}

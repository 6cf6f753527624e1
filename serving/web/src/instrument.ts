import { PageError } from "./errors";
import type { News, Order } from "./messages";
import type { Metadata } from "./metadata";
import { Recorder } from "./recorder";
import { Speaker } from "./speaker";

declare const WORKER_CODE: string;

const SPEED_MEMORY = 0.9; // of the running average of the speed

/** What was chosen on the page, and goes on when another model is opened. */
export interface Choices {
  streams: number;
  ahead: number; // seconds
  volume: number;
  randomSeed: number;
}

/** One open model: its worker, its loudspeaker and its recording. */
export class Instrument {
  playing = false;
  gaps = 0;
  speed = 0; // times real time
  onFailure: (sentence: string) => void = () => {};
  private recorder: Recorder | null = null;
  private seed: Float32Array | null = null;
  private started = false;

  private constructor(
    readonly metadata: Metadata,
    private readonly worker: Worker,
    private readonly speaker: Speaker,
    private readonly choices: Choices,
  ) {
    speaker.setVolume(choices.volume);
    this.setAhead(choices.ahead);
    worker.onmessage = ({ data }: MessageEvent<News>) => {
      if (data.kind === "failed") this.fail(data.message);
      if (data.kind === "block") this.take(data.audio, data.speed);
    };
  }

  /**
   * Open an exported generator.
   *
   * @param model the bytes of the file, which are handed on.
   * @param wasm the bytes of ONNX Runtime.
   * @throws PageError not a model of ours, or the browser lacks what it takes to play it.
   */
  static async open(model: ArrayBuffer, wasm: ArrayBuffer, choices: Choices): Promise<Instrument> {
    const code = URL.createObjectURL(new Blob([WORKER_CODE], { type: "text/javascript" }));
    const worker = new Worker(code);
    const order: Order = { kind: "open", model, wasm, randomSeed: choices.randomSeed };
    worker.postMessage(order, [model]);
    try {
      const metadata = await new Promise<Metadata>((resolve, reject) => {
        worker.onerror = () => reject(new PageError("This browser cannot run the model."));
        worker.onmessage = ({ data }: MessageEvent<News>) => {
          if (data.kind === "opened") resolve(data.metadata);
          if (data.kind === "failed") reject(new PageError(data.message));
        };
      });
      let instrument: Instrument | null = null;
      const speaker = await Speaker.open(metadata, worker, choices.ahead, (gaps) => {
        if (instrument) instrument.gaps = gaps;
      });
      instrument = new Instrument(metadata, worker, speaker, choices);
      return instrument;
    } catch (error) {
      worker.terminate();
      throw error;
    } finally {
      URL.revokeObjectURL(code);
    }
  }

  get analyser(): AnalyserNode {
    return this.speaker.analyser;
  }

  /** Seconds recorded so far; null where nothing is being recorded. */
  get recorded(): number | null {
    return this.recorder?.seconds ?? null;
  }

  async play(): Promise<void> {
    this.playing = true;
    if (!this.started) this.restart();
    await this.speaker.play();
  }

  async pause(): Promise<void> {
    this.playing = false;
    await this.speaker.pause();
  }

  /** Begin again: from the seed, with the random numbers from their start. */
  restart(): void {
    this.started = true;
    const { randomSeed, streams } = this.choices;
    this.order({ kind: "restart", randomSeed, streams, seed: this.seed });
  }

  /** @param seed interleaved audio at the model's rate; null for none. */
  setSeed(seed: Float32Array | null): void {
    this.seed = seed;
    if (this.started) this.restart();
  }

  setControl(name: string, value: number): void {
    this.order({ kind: "control", name, value });
  }

  setStreams(streams: number): void {
    this.choices.streams = streams;
    this.order({ kind: "streams", streams });
  }

  setRandomSeed(randomSeed: number): void {
    this.choices.randomSeed = randomSeed;
    if (this.started) this.restart();
  }

  setAhead(seconds: number): void {
    this.choices.ahead = seconds;
    this.order({ kind: "ahead", seconds });
    this.speaker.setAhead(seconds);
  }

  setVolume(volume: number): void {
    this.choices.volume = volume;
    this.speaker.setVolume(volume);
  }

  record(): void {
    this.recorder = new Recorder(this.metadata.channels, this.metadata.sampleRate);
  }

  /** The recording, as a WAV file. */
  stopRecording(): Blob {
    const file = this.recorder!.wav();
    this.recorder = null;
    return file;
  }

  close(): void {
    this.worker.terminate();
    this.speaker.close();
  }

  private order(order: Order): void {
    this.worker.postMessage(order);
  }

  private take(audio: Float32Array<ArrayBuffer>, speed: number): void {
    this.speed = this.speed ? SPEED_MEMORY * this.speed + (1 - SPEED_MEMORY) * speed : speed;
    if (this.recorder && !this.recorder.add(audio)) {
      this.onFailure("The recording has reached the 4 GB that a WAV file holds: stop and save it.");
    }
  }

  private fail(sentence: string): void {
    void this.pause();
    this.onFailure(sentence);
  }
}

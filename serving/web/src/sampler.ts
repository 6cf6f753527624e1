import * as ort from "onnxruntime-web/wasm";
import { PageError } from "./errors";
import { MUSIC, parseMetadata, size, type Metadata } from "./metadata";
import { metadataProps } from "./model_file";
import { Noise } from "./noise";

type Feeds = Record<string, ort.Tensor>;

const SEED_BLOCK_SECONDS = 0.5;

/**
 * Generates audio with an exported model, in one or more independent streams, block by block.
 *
 * The state goes on from call to call: many short calls give the same samples as one long one. The
 * same random seed gives the audio of the Python sampler, up to rounding.
 */
export class Sampler {
  /** The values of the controls, by name; may be changed between blocks. */
  readonly controls: Record<string, number>;
  private states: ort.Tensor[] = [];
  private noise: Noise[] = [];
  private late = 0; // samples at the start that belong to what was read

  private constructor(
    readonly metadata: Metadata,
    private readonly session: ort.InferenceSession,
    private randomSeed: number,
  ) {
    this.controls = Object.fromEntries(metadata.controls.map((c) => [c.name, c.default]));
  }

  /**
   * Open an exported generator.
   *
   * @param model the bytes of the ONNX file.
   * @param wasm the bytes of ONNX Runtime.
   * @throws PageError not ONNX, not ours, damaged, or of another version.
   */
  static async open(model: Uint8Array, wasm: ArrayBuffer, randomSeed: number): Promise<Sampler> {
    const metadata = parseMetadata(metadataProps(model));
    // A recurrent step is too small to be divided between threads.
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = wasm;
    ort.env.logLevel = "fatal";
    let session: ort.InferenceSession;
    try {
      session = await ort.InferenceSession.create(model, {
        executionProviders: ["wasm"],
        logSeverityLevel: 4,
      });
    } catch (error) {
      throw new PageError(`ONNX Runtime cannot open this file: ${oneLine(error)}.`);
    }
    checkGraph(metadata, session);
    const sampler = new Sampler(metadata, session, randomSeed);
    sampler.reset(1);
    return sampler;
  }

  get streams(): number {
    return this.noise.length;
  }

  /** Back to the beginning: fresh states, and the noise from its start. */
  reset(streams: number, randomSeed = this.randomSeed): void {
    this.randomSeed = randomSeed;
    this.noise = [];
    this.states = [];
    this.late = this.metadata.delay;
    this.setStreams(streams);
  }

  /** Streams that go stop; streams that come begin afresh; the others go on. */
  setStreams(streams: number): void {
    const kept = Math.min(streams, this.streams);
    this.states = this.metadata.states.map(({ shape, initial }, i) => {
      const row = size(shape);
      const values = new Float32Array(streams * row).fill(initial);
      if (kept) values.set((this.states[i].data as Float32Array).subarray(0, kept * row));
      return new ort.Tensor("float32", values, [streams, ...shape]);
    });
    this.noise.length = kept;
    while (this.streams < streams) this.noise.push(new Noise(this.randomSeed, this.streams));
  }

  /**
   * Start from a fresh state and read a seed, none of which is given out.
   *
   * @param audio interleaved channels, at the model's rate; read by every stream.
   */
  async prime(audio: Float32Array): Promise<void> {
    const { frame, channels, sampleRate } = this.metadata;
    this.reset(this.streams);
    // Forced samples come in whole frames; zeros go before them, as in a fresh state's history.
    const frames = Math.ceil(audio.length / channels / frame);
    const padded = new Float32Array(frames * frame * channels);
    padded.set(audio, padded.length - audio.length);
    const step = this.wholeFrames(SEED_BLOCK_SECONDS * sampleRate) * channels;
    for (let start = 0; start < padded.length; start += step) {
      await this.advance(padded.subarray(start, start + step), 0);
    }
  }

  /**
   * @param seconds rounded up to whole frames.
   * @returns new audio of each stream, channels interleaved.
   */
  async block(seconds: number): Promise<Float32Array[]> {
    const { frame, channels, sampleRate } = this.metadata;
    const late = this.late;
    this.late = 0;
    const samples = this.wholeFrames(seconds * sampleRate) + Math.ceil(late / frame) * frame;
    const audio = await this.advance(new Float32Array(0), samples);
    if (!audio.every(Number.isFinite)) {
      throw new PageError("The model gave NaN or infinite samples: train it again, or longer.");
    }
    const row = samples * channels;
    return this.noise.map((_, i) => audio.subarray(i * row + late * channels, (i + 1) * row));
  }

  private wholeFrames(samples: number): number {
    const { frame } = this.metadata;
    return Math.max(1, Math.ceil(samples / frame)) * frame;
  }

  /** Read `forced` (the same for all streams), then generate `samples`. */
  private async advance(forced: Float32Array, samples: number): Promise<Float32Array> {
    const { channels, noisePerSample, states, deterministic } = this.metadata;
    const n = this.streams;
    const last = channels > 1 ? [channels] : [];
    const read = new Float32Array(n * forced.length);
    for (let i = 0; i < n; i++) read.set(forced, i * forced.length);
    const row = samples * noisePerSample;
    const noise = new Float32Array(n * row);
    if (!deterministic) {
      this.noise.forEach((each, i) => each.fill(noise.subarray(i * row, (i + 1) * row)));
    }
    const tensor = (data: Float32Array, shape: number[]) => new ort.Tensor("float32", data, shape);
    const feeds: Feeds = {
      forced: tensor(read, [n, forced.length / channels, ...last]),
      noise: tensor(noise, [n, samples, noisePerSample]),
    };
    states.forEach(({ name }, i) => (feeds[name] = this.states[i]));
    const { music } = this.metadata;
    if (music.length) {
      const weights = music.map((name) => this.controls[`${MUSIC}/${name}`]);
      const rows = Float32Array.from({ length: n * music.length }, (_, i) => weights[i % music.length]);
      feeds[MUSIC] = tensor(rows, [n, music.length]);
    }
    for (const [name, value] of Object.entries(this.controls)) {
      if (name.startsWith(`${MUSIC}/`)) continue;
      // A control is a state tensor that may be set; the temperature alone is an input of its own.
      const shape = name in feeds ? [n, 1] : [n];
      feeds[name] = tensor(new Float32Array(n).fill(value), shape);
    }
    const names = ["audio", ...states.map(({ name }) => `${name}_next`)];
    let results: Feeds;
    try {
      results = (await this.session.run(feeds, names)) as Feeds;
    } catch (error) {
      throw new PageError(`The model fails in ONNX Runtime: ${oneLine(error)}.`);
    }
    const audio = results.audio.data as Float32Array;
    this.states = states.map(({ name }) => results[`${name}_next`]);
    if (
      audio.length !== n * samples * channels ||
      states.some(({ shape }, i) => this.states[i].size !== n * size(shape))
    ) {
      throw new PageError("The model gives tensors of wrong shapes: export it again.");
    }
    return audio;
  }
}

/** Compare the metadata with the tensors that the graph declares. */
function checkGraph(metadata: Metadata, session: ort.InferenceSession): void {
  const needed = ["forced", "noise", ...metadata.states.map((s) => s.name)];
  const results = ["audio", ...metadata.states.map((s) => `${s.name}_next`)];
  const missing = [
    ...needed.filter((name) => !session.inputNames.includes(name)),
    ...results.filter((name) => !session.outputNames.includes(name)),
  ];
  if (missing.length) throw new PageError(`This file lacks ${missing.join(", ")}: export it again.`);
  // A control may have no effect in this graph, and then no input.
  const input = (name: string) => (name.startsWith(`${MUSIC}/`) ? MUSIC : name);
  metadata.controls = metadata.controls.filter((c) => session.inputNames.includes(input(c.name)));
  const known = [...needed, ...metadata.controls.map((c) => c.name), "score"];
  const unknown = session.inputNames.filter((name) => !known.includes(name));
  if (unknown.length) {
    throw new PageError(
      `This file needs inputs that this page does not know: ${unknown.join(", ")}.`,
    );
  }
}

function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, " ").replace(/\.$/, "").slice(0, 160);
}

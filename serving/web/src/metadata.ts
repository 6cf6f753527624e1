import { PageError } from "./errors";

const KEY = "keras_rawaudio";
const FORMAT_VERSION = 1;
// Limits that no real model comes near. They bound what a file can make the page allocate.
const MAX_SAMPLE_RATE = 768_000;
const MAX_CHANNELS = 64;
const MAX_FRAME = 2 ** 22;
const MAX_FRAME_NOISE = 2 ** 24;
const MAX_STATE_VALUES = 2 ** 26;

/** One state tensor: its shape without the batch, and the value that fills a fresh one. */
export interface State {
  name: string;
  shape: number[];
  initial: number;
}

/** What a performer turns: an input of the graph, float32 [batch]. */
export interface Control {
  name: string;
  minimum: number;
  maximum: number;
  default: number;
  unit: string;
  description: string;
}

/** The metadata of an exported generator; see docs/reference/onnx.md. */
export interface Metadata {
  sampleRate: number;
  frame: number;
  channels: number;
  delay: number;
  noisePerSample: number;
  deterministic: boolean;
  states: State[];
  /** Those of the file, and `music/<name>` for the weight of each piece that it was trained on. */
  controls: Control[];
  /** Names of these pieces, in the order of the state `music`. */
  music: string[];
  recipe: string;
}

/** The state that holds the weight of each piece of music. */
export const MUSIC = "music";

const TEMPERATURE: Control = {
  name: "temperature",
  minimum: 0.5,
  maximum: 1.5,
  default: 1,
  unit: "ratio",
  description: "Less is calmer, more strays further; 1 is the model as trained.",
};

/**
 * Read and check the metadata of an ONNX file.
 *
 * @param properties its `metadata_props`.
 * @throws PageError not a generator of ours, an unknown format version, a damaged entry.
 */
export function parseMetadata(properties: Map<string, string>): Metadata {
  const text = properties.get(KEY);
  if (text === undefined) {
    throw new PageError("This is an ONNX file, but not a generator of keras-rawaudio.");
  }
  let raw: Record<string, any>;
  try {
    raw = JSON.parse(text);
    if (typeof raw !== "object" || raw === null || !("format_version" in raw)) throw new Error();
  } catch {
    throw new PageError("The description in this file is damaged: export it again.");
  }
  if (raw.format_version !== FORMAT_VERSION) {
    throw new PageError(
      `This file has format version ${String(raw.format_version).slice(0, 20)}, and this page ` +
        `reads version ${FORMAT_VERSION}: use a matching page, or export the file again.`,
    );
  }
  try {
    const music = list(raw.music?.names ?? [], "names of music").map((n) => string(n, "a name"));
    const shares = list(raw.music?.shares ?? [], "shares of music").map((s) => finite(s, "a share"));
    const metadata: Metadata = {
      sampleRate: integer(raw.sample_rate, "sample_rate", 1, MAX_SAMPLE_RATE),
      frame: integer(raw.frame, "frame", 1, MAX_FRAME),
      channels: integer(raw.channels ?? 1, "channels", 1, MAX_CHANNELS),
      delay: integer(raw.delay ?? 0, "delay", 0, MAX_FRAME),
      noisePerSample: integer(raw.noise_per_sample, "noise_per_sample", 0, MAX_FRAME_NOISE),
      deterministic: Boolean(raw.deterministic),
      states: list(raw.states, "states").map(state),
      // Files of before there were controls have the temperature.
      controls: [
        ...(raw.controls === undefined
          ? [TEMPERATURE]
          : list(raw.controls, "controls").map(control)),
        ...music.map((name, i) => weight(name, i === shares.indexOf(Math.max(...shares)))),
      ],
      music,
      recipe: String(raw.recipe?.name ?? "").slice(0, 60),
    };
    const names = metadata.states.map((each) => each.name);
    if (new Set(names).size < names.length) throw new Error("two tensors of one name");
    const pieces = metadata.states.find(({ name }) => name === MUSIC)?.shape ?? [0];
    if (pieces.length !== 1 || pieces[0] !== music.length || shares.length !== music.length) {
      throw new Error("the names of its music are not of this graph");
    }
    if (new Set(music).size < music.length) throw new Error("two pieces of one name");
    if (metadata.frame * metadata.noisePerSample > MAX_FRAME_NOISE) {
      throw new Error("more noise per frame than any model takes");
    }
    const values = metadata.states.reduce((sum, each) => sum + size(each.shape), 0);
    if (values > MAX_STATE_VALUES) throw new Error("states larger than any model has");
    return metadata;
  } catch (error) {
    const why = (error as Error).message.slice(0, 120);
    throw new PageError(`The description in this file is damaged (${why}): export it again.`);
  }
}

/** How many values a tensor of that shape has. */
export function size(shape: readonly number[]): number {
  return shape.reduce((product, each) => product * each, 1);
}

function integer(value: unknown, key: string, low: number, high: number): number {
  if (!Number.isInteger(value) || (value as number) < low || (value as number) > high) {
    const shown = String(JSON.stringify(value)).slice(0, 40);
    throw new Error(`${key} is ${shown}, not a whole number from ${low} to ${high}`);
  }
  return value as number;
}

function finite(value: unknown, key: string): number {
  if (typeof value !== "number" || !(Math.abs(value) < 1e30)) throw new Error(`${key}: no number`);
  return value;
}

function string(value: unknown, key: string): string {
  if (typeof value !== "string") throw new Error(`${key}: no text`);
  return value.slice(0, 300);
}

function list(value: unknown, key: string): any[] {
  if (!Array.isArray(value)) throw new Error(`no list of ${key}`);
  return value;
}

function state(raw: any): State {
  return {
    name: string(raw?.name, "name of a state"),
    shape: list(raw.shape, "sizes").map((each) => integer(each, "size", 0, MAX_STATE_VALUES)),
    initial: finite(raw.initial, "initial"),
  };
}

function weight(name: string, chosen: boolean): Control {
  return {
    name: `${MUSIC}/${name}`,
    minimum: 0,
    maximum: 1,
    default: chosen ? 1 : 0,
    unit: "",
    description: "Weight of this music among the others.",
  };
}

function control(raw: any): Control {
  const found = {
    name: string(raw?.name, "name of a control"),
    minimum: finite(raw.minimum, "minimum"),
    maximum: finite(raw.maximum, "maximum"),
    default: finite(raw.default, "default"),
    unit: string(raw.unit ?? "", "unit"),
    description: string(raw.description ?? "", "description"),
  };
  if (!(found.minimum <= found.default && found.default <= found.maximum)) {
    throw new Error(`the range of ${found.name}`);
  }
  return found;
}

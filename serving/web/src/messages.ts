import type { Metadata } from "./metadata";

/** From the page to the worker, which holds the model. */
export type Order =
  | { kind: "open"; model: ArrayBuffer; wasm: ArrayBuffer; randomSeed: number }
  | { kind: "output"; port: MessagePort; memory: SharedArrayBuffer | null; frames: number }
  | { kind: "ahead"; seconds: number }
  | { kind: "control"; name: string; value: number }
  | { kind: "streams"; streams: number }
  | { kind: "restart"; randomSeed: number; streams: number; seed: Float32Array | null };

/** From the worker to the page. */
export type News =
  | { kind: "opened"; metadata: Metadata }
  | { kind: "block"; audio: Float32Array<ArrayBuffer>; speed: number }
  | { kind: "failed"; message: string };

/** From the worker to the audio thread: audio where no memory is shared, and what to forget. */
export type ToAudio = { audio: Float32Array } | { skipTo: number };

/** From the audio thread to the page. */
export type FromAudio = { gaps: number };

export interface AudioOptions {
  channels: number;
  frames: number;
  ahead: number; // frames to have before sound begins
  memory: SharedArrayBuffer | null;
}

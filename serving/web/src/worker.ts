import { PageError } from "./errors";
import type { News, Order, ToAudio } from "./messages";
import { Ring } from "./ring";
import { Sampler } from "./sampler";

const BLOCK_SECONDS = 0.05;
const PATIENCE_MS = 5;

/** Where audio goes: how much waits there, and from which position on it is new. */
interface Output {
  filled(): number;
  write(audio: Float32Array): void;
  forget(): void;
}

let sampler: Sampler | null = null;
let output: Output | null = null;
let ahead = 0.4; // seconds to have ready
let streams = 1;
let started = false;
let restart: Extract<Order, { kind: "restart" }> | null = null;

const tell = (news: News, transfer: Transferable[] = []) => self.postMessage(news, { transfer });

self.onmessage = ({ data }: MessageEvent<Order>) => {
  if (data.kind === "open") void run(data);
  else if (data.kind === "output") output = openOutput(data);
  else if (data.kind === "ahead") ahead = data.seconds;
  else if (data.kind === "control" && sampler) sampler.controls[data.name] = data.value;
  else if (data.kind === "streams") streams = data.streams;
  else if (data.kind === "restart") {
    restart = data;
    streams = data.streams;
  }
};

async function run(order: Extract<Order, { kind: "open" }>): Promise<void> {
  try {
    sampler = await Sampler.open(new Uint8Array(order.model), order.wasm, order.randomSeed);
    tell({ kind: "opened", metadata: sampler.metadata });
    for (;;) {
      await generate(sampler);
      await messages();
    }
  } catch (error) {
    const ours = error instanceof PageError;
    const text = ours ? error.message : `The model stopped: ${String(error).slice(0, 160)}.`;
    tell({ kind: "failed", message: text });
  }
}

/** A block where one is wanted. */
async function generate(sampler: Sampler): Promise<void> {
  const { channels, sampleRate } = sampler.metadata;
  if (restart) {
    const { randomSeed, seed } = restart;
    restart = null;
    started = true;
    sampler.reset(streams, randomSeed);
    if (seed) await sampler.prime(seed);
    output?.forget();
  }
  if (!output || !started || output.filled() >= ahead * sampleRate) return pause(PATIENCE_MS);
  // Streams that come fade in within a block, and streams that go fade out.
  const before = sampler.streams;
  const after = streams;
  if (after > before) sampler.setStreams(after);
  const began = performance.now();
  const rows = await sampler.block(BLOCK_SECONDS);
  const spent = (performance.now() - began) / 1000;
  const audio = mixed(rows, before, after);
  if (after < before) sampler.setStreams(after);
  if (restart) return; // no longer wanted
  output.write(audio);
  const speed = audio.length / channels / sampleRate / spent;
  tell({ kind: "block", audio, speed }, [audio.buffer]);
}

/** The sum of the streams at equal power, while their number goes from `before` to `after`. */
function mixed(rows: Float32Array[], before: number, after: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(rows[0].length);
  rows.forEach((row, i) => {
    const from = i < before ? before ** -0.5 : 0;
    const to = i < after ? after ** -0.5 : 0;
    for (let k = 0; k < out.length; k++) out[k] += row[k] * (from + ((to - from) * k) / out.length);
  });
  return out;
}

function openOutput({ port, memory, frames }: Extract<Order, { kind: "output" }>): Output {
  const post = (message: ToAudio, transfer: Transferable[] = []) =>
    port.postMessage(message, transfer);
  const channels = sampler!.metadata.channels;
  if (memory) {
    const ring = new Ring(memory, channels, frames);
    return {
      filled: () => ring.filled,
      write: (audio) => ring.write(audio),
      forget: () => post({ skipTo: ring.written }),
    };
  }
  // Without shared memory the ring is the audio thread's, which says how full it is.
  let written = 0;
  let waiting = 0; // sent, and not yet counted there
  let filled = 0;
  port.onmessage = ({ data }: MessageEvent<{ filled: number; written: number }>) => {
    filled = data.filled;
    waiting = (written - data.written) | 0;
  };
  return {
    filled: () => filled + waiting,
    write: (audio) => {
      const count = audio.length / channels;
      written = (written + count) | 0;
      waiting += count;
      post({ audio: audio.slice() });
    },
    forget: () => post({ skipTo: written }),
  };
}

const { port1, port2 } = new MessageChannel();

/** Let messages in. A timer of 0 ms would wait longer. */
function messages(): Promise<void> {
  return new Promise((resolve) => {
    port1.onmessage = () => resolve();
    port2.postMessage(null);
  });
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

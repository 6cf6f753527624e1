import { PageError } from "./errors";
import type { Metadata } from "./metadata";

/**
 * An excerpt of an audio file, at the model's rate and in its channels, interleaved.
 *
 * A file with as many channels as the model keeps them. Any other is mixed to mono, and then stands
 * in each of the model's channels.
 *
 * @param file whatever the browser decodes.
 * @param start where the seed starts in it, in seconds.
 * @param seconds its length; shorter where the file ends sooner.
 * @throws PageError not audio, or `start` beyond its end.
 */
export async function seedFromFile(
  file: Blob,
  metadata: Metadata,
  start: number,
  seconds: number,
): Promise<Float32Array> {
  const { sampleRate, channels } = metadata;
  let audio: AudioBuffer;
  try {
    const context = new OfflineAudioContext(1, 1, sampleRate);
    audio = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new PageError("This browser cannot read the seed as audio.");
  }
  const first = Math.round(start * sampleRate);
  const count = Math.min(audio.length - first, Math.round(seconds * sampleRate));
  if (!(count > 0)) {
    throw new PageError(`The seed starts beyond the end of the file (${audio.duration.toFixed(1)} s).`);
  }
  const rows = Array.from({ length: audio.numberOfChannels }, (_, c) =>
    audio.getChannelData(c).subarray(first, first + count),
  );
  const out = new Float32Array(count * channels);
  for (let i = 0; i < count; i++) {
    const mean = rows.reduce((sum, row) => sum + row[i], 0) / rows.length;
    for (let c = 0; c < channels; c++) {
      const sample = rows.length === channels ? rows[c][i] : mean;
      out[i * channels + c] = Math.max(-1, Math.min(1, sample));
    }
  }
  return out;
}

/**
 * What the microphone hears from now on, as a file.
 *
 * @throws PageError where there is none, or the user refuses it.
 */
export async function microphone(seconds: number): Promise<Blob> {
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
  } catch {
    throw new PageError("There is no microphone, or this page may not use it.");
  }
  const recorder = new MediaRecorder(stream);
  const parts: Blob[] = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const done = new Promise((resolve) => (recorder.onstop = resolve));
  recorder.start();
  setTimeout(() => recorder.stop(), 1000 * seconds);
  await done;
  stream.getTracks().forEach((track) => track.stop());
  return new Blob(parts, { type: recorder.mimeType });
}

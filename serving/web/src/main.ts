/** The page: it wires what is on it to the instrument. */

import { asset, runtime } from "./assets";
import { ControlPanel } from "./controls";
import { PageError } from "./errors";
import { Instrument, type Choices } from "./instrument";
import { Midi } from "./midi";
import { microphone, seedFromFile } from "./seed";
import { Spectrogram } from "./spectrogram";

const find = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const input = (id: string) => find<HTMLInputElement>(id);
const say = (sentence: string): void => {
  find("status").textContent = sentence;
  find("problem").textContent = "";
};
const complain = (sentence: string): void => {
  find("problem").textContent = sentence;
};

const choices: Choices = {
  streams: 1,
  ahead: 0.4,
  volume: input("volume").valueAsNumber,
  randomSeed: crypto.getRandomValues(new Uint32Array(1))[0],
};
let instrument: Instrument | null = null;
let spectrogram: Spectrogram | null = null;
let panel: ControlPanel | null = null;
let midi: Midi | null = null;
let seedFile: Blob | null = null;

/** Run what a user asked for; what they can mend is shown, and anything else too. */
async function attempt(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const ours = error instanceof PageError;
    complain(ours ? error.message : `Something failed in this browser: ${error}.`);
    if (!ours) console.error(error);
  }
}

async function open(model: ArrayBuffer, name: string): Promise<void> {
  instrument?.close();
  instrument = null;
  spectrogram?.stop();
  find("instrument").hidden = true;
  showPlaying(false);
  showRecording(false);
  say(`Opening ${name} …`);
  try {
    instrument = await Instrument.open(model, await runtime(), choices);
  } catch (error) {
    say("");
    throw error;
  }
  const { metadata } = instrument;
  instrument.onFailure = (sentence) => {
    showPlaying(false);
    complain(sentence);
  };
  find("title").textContent = name;
  const channels = { 1: "mono", 2: "stereo" }[metadata.channels] ?? `${metadata.channels} channels`;
  find("facts").textContent = [metadata.recipe, `${metadata.sampleRate} Hz`, channels]
    .filter(Boolean)
    .join(" · ");
  find("instrument").hidden = false;
  const controls = metadata.controls.filter(
    ({ name }) => name !== "temperature" || !metadata.deterministic,
  );
  panel = new ControlPanel(
    find("controls"),
    controls,
    (control, value) => {
      instrument?.setControl(control, value);
      complain("");
    },
    complain,
    (control) => {
      midi?.learn(control);
      say("Move the MIDI controller that shall turn it.");
    },
  );
  panel.showLearn(midi !== null);
  find("no-controls").hidden = controls.length > 0;
  find("midi").hidden = midi !== null || !Midi.available || !controls.length;
  spectrogram = new Spectrogram(
    find<HTMLCanvasElement>("spectrogram"),
    find("ticks"),
    instrument.analyser,
    metadata.sampleRate,
  );
  if (seedFile) await attempt(() => useSeed(seedFile!));
  say("Ready.");
  find("play").focus();
}

async function openFile(file: File | undefined): Promise<void> {
  if (file) await attempt(async () => open(await file.arrayBuffer(), file.name));
}

function showPlaying(playing: boolean): void {
  find("play").textContent = playing ? "Pause" : "Play";
  if (playing) spectrogram?.start();
  else spectrogram?.stop();
}

function showRecording(recording: boolean): void {
  find("record").setAttribute("aria-pressed", String(recording));
  find("record").textContent = recording ? "Stop and save" : "Record";
}

async function togglePlay(): Promise<void> {
  if (!instrument) return;
  const playing = !instrument.playing;
  showPlaying(playing);
  say(playing ? "Playing." : "Paused.");
  await (playing ? instrument.play() : instrument.pause());
}

function toggleRecording(): void {
  if (!instrument) return;
  const saves = instrument.recorded !== null;
  showRecording(!saves);
  if (!saves) {
    instrument.record();
    say(instrument.playing ? "Recording." : "Recording begins when it plays.");
    return;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(instrument.stopRecording());
  link.download = "new.wav";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  say("Saved new.wav.");
}

async function useSeed(file: Blob): Promise<void> {
  if (!instrument) return;
  const [start, seconds] = [input("seed-start"), input("seed-seconds")];
  if (!start.validity.valid || !seconds.validity.valid) {
    throw new PageError("A seed starts at 0 s or later, and is 0.1 to 60 s long.");
  }
  const { metadata } = instrument;
  const audio = await seedFromFile(file, metadata, start.valueAsNumber, seconds.valueAsNumber);
  seedFile = file;
  instrument.setSeed(audio);
  const length = audio.length / metadata.channels / metadata.sampleRate;
  showSeed(`A seed of ${length.toFixed(1)} s: it begins there.`);
}

function showSeed(sentence: string): void {
  find("seed-text").textContent = sentence;
  (find("no-seed") as HTMLButtonElement).disabled = seedFile === null;
  say(sentence);
}

async function useMicrophone(): Promise<void> {
  const seconds = input("seed-seconds").valueAsNumber;
  if (!input("seed-seconds").validity.valid) throw new PageError("A seed is 0.1 to 60 s long.");
  say(`Listening to the microphone for ${seconds} s …`);
  const file = await microphone(seconds);
  input("seed-start").value = "0";
  await useSeed(file);
}

async function useMidi(): Promise<void> {
  try {
    midi = await Midi.open(
      (control, share) => panel?.turn(control, share),
      (control, controller) => say(`MIDI controller ${controller} turns ${control}.`),
    );
  } catch {
    throw new PageError("This page may not use MIDI.");
  }
  find("midi").hidden = true;
  panel?.showLearn(true);
  say("MIDI is on: give each control its controller.");
}

function listen(): void {
  input("model").addEventListener("change", () => openFile(input("model").files?.[0]));
  find("play").addEventListener("click", () => attempt(togglePlay));
  find("record").addEventListener("click", toggleRecording);
  find("restart").addEventListener("click", () => {
    instrument?.restart();
    say("From the beginning.");
  });
  input("volume").addEventListener("input", () =>
    instrument?.setVolume(input("volume").valueAsNumber),
  );
  find("streams").addEventListener("change", () =>
    instrument?.setStreams(Number(find<HTMLSelectElement>("streams").value)),
  );
  find("ahead").addEventListener("change", () =>
    instrument?.setAhead(Number(find<HTMLSelectElement>("ahead").value)),
  );
  input("random-seed").value = String(choices.randomSeed);
  input("random-seed").addEventListener("change", () => {
    if (input("random-seed").validity.valid && input("random-seed").value) {
      instrument?.setRandomSeed(input("random-seed").valueAsNumber);
      say("From the beginning.");
    } else {
      input("random-seed").value = String(choices.randomSeed);
      complain("A random seed is a whole number from 0 to 4294967295.");
    }
  });
  input("seed-file").addEventListener("change", () => {
    const file = input("seed-file").files?.[0];
    if (file) void attempt(() => useSeed(file));
  });
  for (const id of ["seed-start", "seed-seconds"]) {
    find(id).addEventListener("change", () => seedFile && attempt(() => useSeed(seedFile!)));
  }
  find("microphone").addEventListener("click", () => attempt(useMicrophone));
  find("no-seed").addEventListener("click", () => {
    seedFile = null;
    instrument?.setSeed(null);
    showSeed("No seed: it begins from silence.");
  });
  find("midi").addEventListener("click", () => attempt(useMidi));
  document.addEventListener("keydown", (event) => {
    const inControl = (event.target as Element).closest("input, select, button, a");
    if (inControl || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.code === "Space") void attempt(togglePlay);
    else if (event.key === "r") toggleRecording();
    else return;
    event.preventDefault();
  });
  // The whole page is the place to drop a file on.
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
  document.addEventListener("dragleave", () => document.body.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    const file = event.dataTransfer?.files[0];
    if (file && /^(audio|video)\//.test(file.type)) void attempt(() => useSeed(file));
    else void openFile(file);
  });
  setInterval(showMeter, 250);
}

function showMeter(): void {
  if (!instrument?.speed) return;
  const { speed, gaps, recorded } = instrument;
  const parts = [`${speed.toFixed(1)} × real time`, `${gaps} ${gaps === 1 ? "gap" : "gaps"}`];
  if (recorded !== null) parts.push(`recorded ${recorded.toFixed(1)} s`);
  find("meter").textContent = parts.join(" · ");
}

function showNotes(): void {
  const notes = [
    [globalThis.crossOriginIsolated, "No shared memory here: audio goes to the audio thread by messages. Choose more seconds ahead if there are gaps."],
    [Midi.available, "No Web MIDI in this browser."],
    [navigator.mediaDevices, "No microphone on this page: a browser gives it to secure pages only."],
  ] as const;
  for (const [there, sentence] of notes) {
    if (there) continue;
    const note = document.createElement("li");
    note.textContent = sentence;
    find("notes").append(note);
  }
}

listen();
showNotes();
void attempt(async () => {
  const model = await asset("generator.onnx");
  if (model) await open(model, "generator.onnx");
  else say("No model yet.");
});

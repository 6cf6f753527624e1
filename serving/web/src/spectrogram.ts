const LOWEST_HZ = 40;
const PIXELS_PER_FRAME = 2;
const RANGE_DB: [number, number] = [-95, -20];
// From silence to loud, for a dark page and for a light one.
const COLOURS = {
  dark: ["#0d1117", "#1b2a49", "#2f5d8c", "#2fa39a", "#9fd66b", "#fff3b0"],
  light: ["#ffffff", "#d9e6ef", "#8dbbd0", "#3a86a8", "#1f4e79", "#0b1a33"],
};

/** Draws what sounds as it sounds: time to the right, log frequency upwards. */
export class Spectrogram {
  private readonly context: CanvasRenderingContext2D;
  private readonly levels: Uint8Array<ArrayBuffer>;
  private running = 0;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    ticks: HTMLElement,
    private readonly analyser: AnalyserNode,
    private readonly sampleRate: number,
  ) {
    this.context = canvas.getContext("2d", { willReadFrequently: false })!;
    this.levels = new Uint8Array(analyser.frequencyBinCount);
    [analyser.minDecibels, analyser.maxDecibels] = RANGE_DB;
    const scale = globalThis.devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * scale);
    canvas.height = Math.round(canvas.clientHeight * scale);
    this.clear();
    const marks = [100, 1000, 10000].filter((hz) => hz < sampleRate / 2.2);
    ticks.replaceChildren(
      ...marks.map((hz) => {
        const mark = document.createElement("span");
        mark.textContent = hz < 1000 ? `${hz} Hz` : `${hz / 1000} kHz`;
        mark.style.bottom = `${(100 * Math.log(hz / LOWEST_HZ)) / this.octaves()}%`;
        return mark;
      }),
    );
  }

  start(): void {
    this.stop();
    const draw = (): void => {
      this.column();
      this.running = requestAnimationFrame(draw);
    };
    draw();
  }

  stop(): void {
    cancelAnimationFrame(this.running);
  }

  private octaves(): number {
    return Math.log(this.sampleRate / 2 / LOWEST_HZ);
  }

  private clear(): void {
    this.context.fillStyle = palette()[0];
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  private column(): void {
    const { context, canvas, levels } = this;
    const { width, height } = canvas;
    this.analyser.getByteFrequencyData(levels);
    context.drawImage(canvas, -PIXELS_PER_FRAME, 0);
    const colours = palette();
    const bins = levels.length;
    const bin = (row: number): number =>
      (bins * 2 * LOWEST_HZ * Math.exp((row / height) * this.octaves())) / this.sampleRate;
    for (let row = 0; row < height; row++) {
      // The loudest of the bins between this row and the next.
      let loudest = 0;
      const last = Math.min(bins - 1, Math.floor(bin(row + 1)));
      for (let b = Math.min(last, Math.floor(bin(row))); b <= last; b++) {
        loudest = Math.max(loudest, levels[b]);
      }
      context.fillStyle = colours[loudest];
      context.fillRect(width - PIXELS_PER_FRAME, height - 1 - row, PIXELS_PER_FRAME, 1);
    }
  }
}

const palettes: Record<string, string[]> = {};

/** 256 colours of the page's scheme. */
function palette(): string[] {
  const scheme = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  palettes[scheme] ??= Array.from({ length: 256 }, (_, level) => {
    const stops = COLOURS[scheme].map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
    const place = (level / 255) * (stops.length - 1);
    const from = Math.min(stops.length - 2, Math.floor(place));
    const mix = stops[from].map((a, i) => Math.round(a + (stops[from + 1][i] - a) * (place - from)));
    return `rgb(${mix.join(" ")})`;
  });
  return palettes[scheme];
}

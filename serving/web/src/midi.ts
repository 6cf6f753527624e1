const KEPT = "keras-rawaudio-midi";

/** MIDI controllers that turn controls: each control learns the one that is moved next. */
export class Midi {
  private learning: string | null = null;
  private readonly map: Record<string, string>; // controller to control

  /**
   * @param onTurn called with a control and a share of its range, from 0 to 1.
   * @param onLearnt called with the control and the number of the controller it now has.
   */
  private constructor(
    access: MIDIAccess,
    private readonly onTurn: (name: string, share: number) => void,
    private readonly onLearnt: (name: string, controller: number) => void,
  ) {
    this.map = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
    const connect = (): void =>
      access.inputs.forEach((input) => {
        input.onmidimessage = ({ data }) => data && this.receive(data);
      });
    access.onstatechange = connect;
    connect();
  }

  static get available(): boolean {
    return "requestMIDIAccess" in navigator;
  }

  /** Asks the user, who may refuse; then the promise is rejected. */
  static async open(
    onTurn: (name: string, share: number) => void,
    onLearnt: (name: string, controller: number) => void,
  ): Promise<Midi> {
    return new Midi(await navigator.requestMIDIAccess(), onTurn, onLearnt);
  }

  /** The next controller that moves turns this control. */
  learn(name: string): void {
    this.learning = name;
  }

  private receive(data: Uint8Array): void {
    const [status, controller, value] = data;
    if ((status & 0xf0) !== 0xb0) return; // a control change, on whatever channel
    const key = `${status & 15}/${controller}`;
    if (this.learning) {
      this.map[key] = this.learning;
      localStorage.setItem(KEPT, JSON.stringify(this.map));
      this.onLearnt(this.learning, controller);
      this.learning = null;
    }
    if (this.map[key]) this.onTurn(this.map[key], value / 127);
  }
}

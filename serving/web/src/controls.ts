import type { Control } from "./metadata";

/** A slider, a number and a sentence for each control that the file declares. */
export class ControlPanel {
  private readonly rows = new Map<string, { control: Control; show: (value: number) => void }>();

  /**
   * @param onChange called with the name and the value of a control that was turned.
   * @param onProblem called with a sentence about a number that is no value of the control.
   * @param onLearn called with the name of the control that a MIDI controller shall turn.
   */
  constructor(
    private readonly place: HTMLElement,
    controls: Control[],
    private readonly onChange: (name: string, value: number) => void,
    private readonly onProblem: (sentence: string) => void,
    private readonly onLearn: (name: string) => void,
  ) {
    place.replaceChildren(...controls.map((control) => this.row(control)));
  }

  /** Turn a control to a share of its range, from 0 to 1. */
  turn(name: string, share: number): void {
    const row = this.rows.get(name);
    if (!row) return;
    const { minimum, maximum } = row.control;
    this.set(row.control, minimum + share * (maximum - minimum));
  }

  /** Whether each row shows its MIDI button. */
  showLearn(shown: boolean): void {
    this.place.querySelectorAll("button").forEach((button) => (button.hidden = !shown));
  }

  private set(control: Control, value: number): void {
    this.rows.get(control.name)!.show(value);
    this.onChange(control.name, value);
  }

  private row(control: Control): HTMLElement {
    const { name, minimum, maximum, unit, description } = control;
    const id = `control-${name.replace(/\s+/g, "-")}`;
    const row = document.createElement("div");
    row.className = "control";
    const label = document.createElement("label");
    label.htmlFor = id;
    label.textContent = readable(name);
    const slider = document.createElement("input");
    Object.assign(slider, { id, type: "range", min: minimum, max: maximum, step: "any" });
    const number = document.createElement("input");
    Object.assign(number, { type: "number", min: minimum, max: maximum, step: "any" });
    number.setAttribute("aria-label", `${readable(name)}, exact value`);
    const units = document.createElement("span");
    units.textContent = unit === "ratio" ? "" : unit;
    const learn = document.createElement("button");
    Object.assign(learn, { type: "button", textContent: "MIDI", hidden: true });
    learn.setAttribute("aria-label", `Choose a MIDI controller for ${readable(name)}`);
    const text = document.createElement("p");
    Object.assign(text, { id: `${id}-text`, textContent: description });
    for (const input of [slider, number]) input.setAttribute("aria-describedby", text.id);
    row.append(label, slider, number, units, learn, text);

    const digits = Math.max(0, Math.min(3, 2 - Math.floor(Math.log10((maximum - minimum) / 2))));
    const show = (value: number): void => {
      slider.value = String(value);
      slider.setAttribute("aria-valuetext", `${value.toFixed(digits)} ${units.textContent}`);
      number.value = String(Number(value.toFixed(digits)));
    };
    this.rows.set(name, { control, show });
    show(control.default);
    slider.addEventListener("input", () => this.set(control, Number(slider.value)));
    slider.addEventListener("dblclick", () => this.set(control, control.default));
    number.addEventListener("change", () => {
      const value = number.valueAsNumber;
      if (value >= minimum && value <= maximum) this.set(control, value);
      else {
        show(Number(slider.value));
        this.onProblem(`${readable(name)} goes from ${minimum} to ${maximum}.`);
      }
    });
    learn.addEventListener("click", () => this.onLearn(name));
    return row;
  }
}

function readable(name: string): string {
  const text = name.replace("/", ": ").replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

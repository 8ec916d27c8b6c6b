// Suggestions under a field, while one types.

import { make } from "./elements.js";
import { announce } from "./messages.js";
import { plural } from "./numbers.js";

/** The combobox pattern of the ARIA Authoring Practices, with a list that opens while typing. */
export class Suggestions {
  /**
   * @param {HTMLInputElement} input
   * @param {HTMLUListElement} list
   * @param {{find: (query: string) => Promise<string[]>, take: (name: string) => void}} source
   *   Where suggestions come from, and who is told which name was chosen or typed.
   */
  constructor(input, list, source) {
    this.input = input;
    this.list = list;
    this.source = source;
    this.names = [];
    this.active = -1;
    this.turn = 0;
    input.addEventListener("input", () => this.search());
    input.addEventListener("keydown", (event) => this.press(event));
    input.addEventListener("blur", () => this.close());
    list.addEventListener("pointerdown", (event) => event.preventDefault()); // keeps the focus
    list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.take(this.names[Number(option.dataset.place)]);
    });
  }

  async search() {
    const turn = ++this.turn;
    let names = [];
    try {
      names = await this.source.find(this.input.value);
    } catch {
      names = []; // any name may be typed in full
    }
    if (turn !== this.turn) return; // more was typed meanwhile
    this.show(names);
  }

  show(names) {
    this.names = names;
    this.active = -1;
    this.list.replaceChildren(
      ...names.map((name, place) => {
        const id = `suggestion-${place}`;
        const values = { id, role: "option", "aria-selected": "false", "data-place": place };
        return make("li", values, name);
      }),
    );
    this.list.hidden = names.length === 0;
    this.input.setAttribute("aria-expanded", String(names.length > 0));
    this.input.removeAttribute("aria-activedescendant");
    if (names.length) announce(`${plural(names.length, "suggestion")}.`);
  }

  close() {
    this.turn++;
    this.show([]);
  }

  press(event) {
    const open = this.names.length > 0;
    if (event.isComposing) return;
    if (event.key === "Enter") {
      event.preventDefault();
      if (this.input.value.trim()) this.take(this.names[this.active] ?? this.input.value);
    } else if (event.key === "Escape") {
      if (open) this.close();
      else this.input.value = "";
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) this.search();
      else this.move(event.key === "ArrowDown" ? 1 : -1);
    }
  }

  /** Goes through the options and back to what was typed. */
  move(step) {
    const options = [...this.list.children];
    options[this.active]?.setAttribute("aria-selected", "false");
    const places = options.length + 1;
    this.active = ((this.active + 1 + step + places) % places) - 1;
    const option = options[this.active];
    option?.setAttribute("aria-selected", "true");
    option?.scrollIntoView({ block: "nearest" });
    if (option) this.input.setAttribute("aria-activedescendant", option.id);
    else this.input.removeAttribute("aria-activedescendant");
  }

  take(name) {
    this.input.value = "";
    this.close();
    this.source.take(name);
    this.input.focus();
  }
}

// The world, coloured by probability.

const SVG = "http://www.w3.org/2000/svg";

/** The lower end of each class of the map, beside which its colour is in page.css. */
export const CLASSES = [0, 0.01, 0.05, 0.1, 0.25, 0.5];
const CLOSE_UP = 0.04; // countries at least that likely are in the close-up
const MARGIN = 14; // of the close-up, in units of the map
const BOTTOM = 54; // units of ice below that no answer needs

export class WorldMap {
  /**
   * @param {SVGSVGElement} svg Where it is drawn.
   * @param {object} world Shapes and points by country code.
   */
  constructor(svg, world) {
    this.svg = svg;
    this.world = world;
    this.ratio = world.width / (world.height - BOTTOM);
    this.countries = new Map();
    this.add("path", { d: world.other, class: "land" });
    for (const [code, d] of Object.entries(world.shapes)) {
      this.countries.set(code, this.add("path", { d, class: "land", "data-country": code }));
    }
    for (const [code, [cx, cy]] of Object.entries(world.points)) {
      const attributes = { cx, cy, r: 3.5, class: "dot", "data-country": code };
      this.countries.set(code, this.add("circle", attributes));
    }
    this.wide();
  }

  add(kind, attributes) {
    const element = document.createElementNS(SVG, kind);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    this.svg.append(element);
    return element;
  }

  /** Colours countries by probability; the others stand back. */
  paint(countries) {
    const shares = new Map(countries.map(({ country, probability }) => [country, probability]));
    this.likely = countries.filter(({ probability }) => probability >= CLOSE_UP);
    for (const [code, shape] of this.countries) {
      const share = shares.get(code);
      const kind = shape.localName === "circle" ? "dot" : "land";
      const colour = share === undefined ? "" : ` p${CLASSES.findLastIndex((at) => share >= at)}`;
      shape.setAttribute("class", kind + colour);
    }
  }

  /** Outlines one country, or none. */
  point(code) {
    this.svg.querySelector(".pointed")?.classList.remove("pointed");
    this.countries.get(code)?.classList.add("pointed");
  }

  /** Shows the whole world. */
  wide() {
    this.view(0, 0, this.world.width, this.world.height - BOTTOM);
  }

  /** Shows what holds all likely countries. */
  close() {
    const boxes = this.likely
      .map(({ country }) => this.countries.get(country)?.getBBox())
      .filter(Boolean);
    if (!boxes.length) return this.wide();
    const left = Math.min(...boxes.map((box) => box.x)) - MARGIN;
    const right = Math.max(...boxes.map((box) => box.x + box.width)) + MARGIN;
    const top = Math.min(...boxes.map((box) => box.y)) - MARGIN;
    const bottom = Math.max(...boxes.map((box) => box.y + box.height)) + MARGIN;
    const width = Math.min(
      Math.max(right - left, (bottom - top) * this.ratio, this.world.width / 6),
      this.world.width,
    );
    const height = width / this.ratio;
    const within = (start, size, all) => Math.max(0, Math.min(start - size / 2, all - size));
    this.view(
      within((left + right) / 2, width, this.world.width),
      within((top + bottom) / 2, height, this.world.height),
      width,
      height,
    );
  }

  view(x, y, width, height) {
    this.svg.setAttribute("viewBox", [x, y, width, height].map((n) => n.toFixed(1)).join(" "));
    const zoom = this.world.width / width;
    for (const circle of this.svg.querySelectorAll("circle")) {
      circle.setAttribute("r", (3.5 / Math.sqrt(zoom)).toFixed(2));
    }
  }
}

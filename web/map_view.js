// The map with what belongs to it: legend, two views, the country that is pointed at.

import { $, make } from "./elements.js";
import { CLASSES, WorldMap } from "./map.js";
import { exactPercent, percent } from "./numbers.js";

export class MapView {
  constructor() {
    this.map = null; // until the world is read
    this.countries = null; // of the answer
    $("wide").addEventListener("click", () => this.zoom(false));
    $("close").addEventListener("click", () => this.zoom(true));
    $("map").addEventListener("pointerover", (event) => this.point(event.target.dataset?.country));
    $("map").addEventListener("pointerleave", () => this.point(null));
  }

  /** Draws the countries' shapes. */
  draw(world) {
    this.map = new WorldMap($("map"), world);
  }

  /** Shows the answer's countries. */
  show(countries) {
    this.countries = countries;
    this.map?.paint(countries);
    const best = countries.slice(0, 5).map((c) => `${c.name} ${percent(c.probability)}`);
    $("map").setAttribute("aria-label", `Map of the world by probability: ${best.join(", ")}`);
    drawLegend();
    $("map-line").hidden = false;
    this.zoom($("close").getAttribute("aria-pressed") === "true");
  }

  zoom(close) {
    $("close").setAttribute("aria-pressed", close);
    $("wide").setAttribute("aria-pressed", !close);
    if (close) this.map?.close();
    else this.map?.wide();
  }

  /** Says which country a pointer is at. */
  point(code) {
    this.map?.point(code);
    const country = this.countries?.find((entry) => entry.country === code);
    $("pointed").hidden = !this.countries;
    $("pointed").textContent = country
      ? `${country.name}: ${exactPercent(country.probability)}`
      : "Point at a country.";
  }
}

function drawLegend() {
  const steps = CLASSES.map((from, place) => {
    const to = CLASSES[place + 1];
    const words = place === 0 ? `<${100 * to}%` : to ? `${100 * from}–${100 * to}%` : `>${100 * from}%`;
    return make("span", {}, make("i", { className: `swatch p${place}` }), words);
  });
  const other = make("span", {}, make("i", { className: "swatch" }), "not in this bundle");
  $("legend").replaceChildren(...steps, other);
  $("legend").hidden = false;
}

// The answer: in a sentence, on the map, in tables.

import { $, make } from "./elements.js";
import { announce } from "./messages.js";
import { number, percent, plural } from "./numbers.js";
import { drawCountries, drawDrivers, drawRegions } from "./tables.js";

export class Answer {
  /** @param {MapView} map */
  constructor(map) {
    this.map = map;
    this.given = false;
  }

  /** Shows what the endpoint answered. */
  show(answer) {
    this.given = true;
    $("synthetic").hidden = !answer.synthetic;
    $("answer").classList.remove("stale");
    drawVerdict(answer);
    this.map.show(answer.countries);
    drawCountries(answer.countries, (code) => this.map.point(code));
    drawRegions(answer.regions);
    drawDrivers(answer);
    $("results").hidden = false;
    const [first] = answer.countries;
    announce(
      answer.prior
        ? "None of these artists is known: the answer is only how frequent each country is."
        : `Most likely ${first.name}, ${percent(first.probability)}.`,
    );
    if (matchMedia("(max-width: 860px)").matches) {
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      $("answer").scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
    }
  }

  /** Says that the answer is to another list than the present one. */
  markStale() {
    if (this.given) $("answer").classList.add("stale");
  }
}

function drawVerdict({ countries, prior, known_artists, unknown_artists }) {
  const [first, ...others] = countries;
  const parts = [];
  if (prior) {
    parts.push(
      make("p", { className: "notice" }, make("b", {}, "Only a prior. "),
        "The bundle knows none of these artists, so this is just how frequent each country is among its listeners."),
    );
  }
  const sure = first.probability >= 0.5;
  parts.push(
    make("p", { className: "eyebrow" }, prior ? "Most frequent" : sure ? "Most likely" : "Perhaps"),
    make("p", { className: "headline" }, make("span", {}, first.name),
      make("span", { className: "share" }, percent(first.probability))),
  );
  const next = others.slice(0, 3).filter(({ probability }) => probability >= 0.005);
  if (next.length) {
    const names = next.map(({ name, probability }) => `${name} ${percent(probability)}`);
    parts.push(make("p", { className: "soft" }, `then ${names.join(", ")}`));
  }
  const unknown = unknown_artists ? `, ${number.format(unknown_artists)} not` : "";
  parts.push(make("p", { className: "soft" }, `${plural(known_artists, "artist")} known${unknown}.`));
  parts.push(make("p", { className: "stale-note" }, "The list has changed since: ask again."));
  $("verdict").replaceChildren(...parts);
}

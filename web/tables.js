// The tables of an answer, with a bar in every row.

import { $, make } from "./elements.js";
import { exactPercent } from "./numbers.js";

const SHOWN = 10; // rows of a table before "show all"

/** Draws the countries; `point` is told which one a pointer is at, or null. */
export function drawCountries(countries, point) {
  const rows = drawShares("countries", countries);
  for (const [place, { country }] of countries.entries()) {
    rows[place].addEventListener("pointerenter", () => point(country));
    rows[place].addEventListener("pointerleave", () => point(null));
  }
  fold(rows, $("more-countries"), "countries");
}

export function drawRegions(regions) {
  drawShares("regions", regions);
}

function drawShares(id, entries) {
  const longest = entries[0]?.probability || 1;
  const rows = entries.map(({ name, probability }) => {
    const meter = make("span", { className: "bar", "aria-hidden": "true" });
    meter.style.width = `${(100 * probability) / longest}%`;
    return make("tr", {},
      make("th", { scope: "row" }, name, make("span", { className: "track" }, meter)),
      make("td", { className: "number" }, exactPercent(probability)));
  });
  $(id).replaceChildren(...rows);
  return rows;
}

/** Draws what speaks for and against the answer's country; hides where nothing is known. */
export function drawDrivers({ explanation, countries }) {
  const artists = explanation?.artists ?? [];
  $("why").hidden = artists.length === 0;
  if (!artists.length) return;
  const name = countries.find(({ country }) => country === explanation.answer)?.name;
  $("why-lead").textContent = `What speaks for and against ${name ?? explanation.answer}, artist by artist.`;
  const most = Math.max(...artists.map(({ contribution }) => Math.abs(contribution))) || 1;
  const rows = artists.map(({ artist_name, contribution }) => {
    const bar = make("span", { className: contribution < 0 ? "bar against" : "bar for", "aria-hidden": "true" });
    bar.style.width = `${(50 * Math.abs(contribution)) / most}%`;
    const value = `${contribution < 0 ? "−" : "+"}${Math.abs(contribution).toFixed(2)}`;
    return make("tr", {},
      make("th", { scope: "row" }, artist_name),
      make("td", {}, make("span", { className: "both-ways" }, bar), make("span", { className: "value" }, value)));
  });
  $("drivers").replaceChildren(...rows);
  fold(rows, $("more-drivers"), "artists");
}

/** Hides what is beyond the first rows behind a button. */
function fold(rows, button, what) {
  const more = rows.slice(SHOWN);
  button.hidden = more.length === 0;
  const show = (all) => {
    for (const row of more) row.hidden = !all;
    button.textContent = all ? `Show the first ${SHOWN}` : `Show all ${rows.length} ${what}`;
    button.setAttribute("aria-expanded", String(all));
    button.onclick = () => show(!all);
  };
  show(false);
}

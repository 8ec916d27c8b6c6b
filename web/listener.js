// The listener: artists with their plays, as the user puts them together.

import { searchText } from "./artists.js";
import { $, make } from "./elements.js";
import { LONGEST_NAME, MOST_ARTISTS, readPlays } from "./lists.js";
import { Refusal, announce, complain } from "./messages.js";
import { plural } from "./numbers.js";

const KEPT = "listening.listener";

export class Listener {
  /** @param {() => void} changed Called after every change. */
  constructor(changed) {
    this.artists = []; // of {name, plays (as typed), unknown}
    this.changed = changed;
    $("clear").addEventListener("click", () => this.clear());
    $("total").addEventListener("input", () => {
      $("total").removeAttribute("aria-invalid");
      this.keep();
      this.changed();
    });
    this.restore();
    this.draw();
  }

  /** Adds an artist and tells how it went. */
  add(name) {
    const plain = name.trim().replace(/\s+/g, " ").slice(0, LONGEST_NAME);
    if (!plain) return;
    const twin = this.find(plain);
    if (twin) {
      complain(`${twin.name} is in the list already.`);
      return;
    }
    if (this.artists.length >= MOST_ARTISTS) {
      complain(`A list has at most ${MOST_ARTISTS} artists: remove one first.`);
      return;
    }
    complain("");
    this.artists.push(artistOf({ name: plain }));
    this.listChanged();
    announce(`${plain} added, ${plural(this.artists.length, "artist")} in the list.`);
    $("artists").lastElementChild.scrollIntoView({ block: "nearest" });
  }

  /** The artist of the list with that name, as names are searched. */
  find(name) {
    return this.artists.find((artist) => searchText(artist.name) === searchText(name));
  }

  remove(place) {
    const [{ name }] = this.artists.splice(place, 1);
    this.listChanged();
    announce(`${name} removed.`);
    const buttons = $("artists").querySelectorAll(".remove");
    (buttons[Math.min(place, buttons.length - 1)] ?? $("artist")).focus();
  }

  /** Takes other artists instead; all plays too, where they are known. */
  replace(artists, total = null) {
    this.artists = artists.map(artistOf);
    if (total !== null) $("total").value = String(total);
    complain("");
    this.listChanged();
  }

  clear() {
    $("total").value = "";
    this.replace([]);
    announce("The list is empty.");
    $("artist").focus();
  }

  /** Marks whom a bundle does not know, where its answer lets that be seen. */
  markUnknown({ explanation, unknown_artists }) {
    const known = new Set(
      (explanation?.artists ?? []).map(({ artist_name }) => searchText(artist_name)),
    );
    // The bundle tells how many it does not know; which these are is seen from those it explains by.
    const unknown = this.artists.filter((artist) => !known.has(searchText(artist.name)));
    const named = unknown.length === unknown_artists;
    for (const artist of this.artists) artist.unknown = named && unknown.includes(artist);
    this.draw();
  }

  /** The listener as the endpoint takes one; shows where a field is wrong. */
  question() {
    const artists = this.artists.map((artist, place) => {
      const plays = readPlays(artist.plays);
      if (Number.isNaN(plays)) {
        const field = $("artists").children[place].querySelector(".plays");
        field.setAttribute("aria-invalid", "true");
        field.focus();
        throw new Refusal(`Plays of ${artist.name}: “${artist.plays}” is no number from 0.`);
      }
      return { artist_name: artist.name, ...(plays !== null && { playcount: plays }) };
    });
    if (!artists.length) {
      $("artist").focus();
      throw new Refusal("Add at least one artist.");
    }
    const total = readPlays($("total").value);
    $("total").toggleAttribute("aria-invalid", Number.isNaN(total));
    if (Number.isNaN(total)) {
      $("total").closest("details").open = true;
      $("total").focus();
      throw new Refusal(`All plays: “${$("total").value}” is no number from 0.`);
    }
    return { top_artists: artists, ...(total !== null && { total_scrobbles: total }) };
  }

  listChanged() {
    this.keep();
    this.draw();
    this.changed();
  }

  draw() {
    const rows = this.artists.map((artist, place) => this.row(artist, place));
    $("artists").replaceChildren(...rows);
    $("nobody").hidden = rows.length > 0;
    $("list-heading").hidden = rows.length === 0;
    $("clear").disabled = rows.length === 0;
    $("count").textContent = rows.length || "";
  }

  row(artist, place) {
    const plays = make("input", {
      type: "text",
      inputMode: "numeric",
      autocomplete: "off",
      className: "plays",
      value: artist.plays,
      "aria-label": `Plays of ${artist.name}`,
    });
    plays.addEventListener("input", () => {
      artist.plays = plays.value;
      plays.removeAttribute("aria-invalid");
      this.keep();
      this.changed();
    });
    const button = make("button", {
      type: "button",
      className: "remove",
      "aria-label": `Remove ${artist.name}`,
      title: "Remove",
      textContent: "×",
    });
    button.addEventListener("click", () => this.remove(place));
    const name = make("span", { className: "name" }, artist.name);
    if (artist.unknown) name.append(" ", make("span", { className: "badge" }, "not known"));
    return make("li", {}, name, plays, button);
  }

  /** Keeps the listener over a reload. */
  keep() {
    const artists = this.artists.map(({ name, plays }) => ({ name, plays }));
    const kept = { artists, total: $("total").value };
    sessionStorage.setItem(KEPT, JSON.stringify(kept));
  }

  restore() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
      this.artists = (kept.artists ?? []).map(artistOf);
      $("total").value = kept.total ?? "";
    } catch {
      sessionStorage.removeItem(KEPT);
    }
  }
}

function artistOf({ name, plays }) {
  return { name, plays: String(plays ?? ""), unknown: false };
}

// The champion's bundle: its version, and the artists it knows.

import { ArtistIndex } from "./artists.js";
import { $ } from "./elements.js";
import { plural } from "./numbers.js";
import { ask } from "./server.js";

const UNTRAINED = "prior"; // the champion before any training
const EXAMPLE = 8; // artists

export class Bundle {
  constructor() {
    this.index = null; // where there is none, names are typed in full
  }

  /** Finds out who the champion is. */
  async read() {
    const { bundle_version: version } = await ask("country/champion");
    this.show(version);
    const index = new ArtistIndex((file) => ask(`artist_index/${version}/${file}`));
    try {
      const { size } = await index.file("index.json");
      this.index = index;
      $("size").textContent = `the bundle’s ${plural(size, "artist")}`;
    } catch {
      $("artist-hint").textContent = "Most played first. Type names in full: there are no suggestions.";
    }
    $("example").hidden = this.index === null;
  }

  show(version) {
    $("untrained").hidden = version !== UNTRAINED;
    $("bundle").textContent = version === UNTRAINED ? "" : `Bundle ${version}.`;
  }

  /** Artists for what is typed. */
  async find(query) {
    return (await this.index?.find(query)) ?? [];
  }

  /** Some of the artists that most listeners have. */
  async example() {
    const popular = [...(await this.index.popular())];
    const taken = [];
    while (popular.length && taken.length < EXAMPLE) {
      taken.push(...popular.splice(Math.floor(Math.random() * popular.length), 1));
    }
    return taken;
  }
}

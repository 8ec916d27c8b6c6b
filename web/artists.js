// Artists by what is typed: walks the index that listening/artist_index.py writes.

const WORD = /[\p{L}\p{N}_]/u;

/** A name as it is searched: small letters without accents, as `search_text` there. */
export function searchText(name) {
  const text = name.trim().replace(/\s+/g, " ").normalize("NFKD").toLowerCase();
  return text.replace(/\p{M}/gu, "");
}

/** Whether a text has a word (or starts) where the searched text follows. */
function matches(text, wanted) {
  if (text.startsWith(wanted)) return true;
  if (!WORD.test([...wanted][0])) return false;
  for (let at = text.indexOf(wanted, 1); at > 0; at = text.indexOf(wanted, at + 1)) {
    if (!WORD.test([...text.slice(0, at)].at(-1))) return true;
  }
  return false;
}

export class ArtistIndex {
  /** @param {(file: string) => Promise<object>} read Reads a file of the index. */
  constructor(read) {
    this.read = read;
    this.files = new Map();
  }

  /** The artists that most listeners have. */
  async popular() {
    return (await this.file("index.json")).artists;
  }

  /** Artists with a word that begins as the query does, most listeners first. */
  async find(query, most = 8) {
    const wanted = searchText(query);
    if (!wanted) return [];
    let node = await this.file("index.json");
    let rest = [...wanted];
    while (node.next && rest.length) {
      const number = node.next[rest[0]];
      if (number === undefined) return [];
      node = await this.file(`${number}.json`);
      rest = rest.slice(1);
    }
    const found = node.next
      ? node.artists
      : node.artists.filter((name) => matches(searchText(name), wanted));
    const exact = found.filter((name) => searchText(name) === wanted);
    return [...new Set([...exact, ...found])].slice(0, most);
  }

  file(name) {
    if (!this.files.has(name)) {
      const file = this.read(name);
      file.catch(() => this.files.delete(name)); // asked for again next time
      this.files.set(name, file);
    }
    return this.files.get(name);
  }
}

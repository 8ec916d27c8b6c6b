// Lists of artists as people have them: lines, tables, exports of scrobbles.

import { searchText } from "./artists.js";

/** What models learn from: a listener's most played artists. */
export const MOST_ARTISTS = 50;
/** What the endpoint takes as an artist's name. */
export const LONGEST_NAME = 1000;
export const MOST_PLAYS = 1e12;

const ARTIST_COLUMNS = ["artist_name", "artist", "artist name"];
const PLAYS_COLUMNS = ["playcount", "plays", "scrobbles", "play count"];
const SCROBBLE_TIME = /\d{1,2}:\d{2}|^\d{10}(\d{3})?$/;

/** A number of plays: null for an empty text, NaN for one that is no number from 0. */
export function readPlays(text) {
  const plain = text.trim();
  if (!plain) return null;
  if (!/^(\d+(\.\d+)?|\d{1,3}([,.’'\s]\d{3})+)$/.test(plain)) return NaN;
  const plays = Number(/^\d+(\.\d{1,2})?$/.test(plain) ? plain : plain.replace(/[,.’'\s]/g, ""));
  return plays <= MOST_PLAYS ? plays : NaN;
}

/**
 * Reads a pasted list.
 *
 * Takes lines of "artist" or "artist, plays"; a table with a column artist, and plays where known;
 * an export of Last.fm scrobbles, one row a play, with or without a header. Of more than
 * MOST_ARTISTS, the most played are kept.
 *
 * @returns {{artists: {name: string, plays: number | null}[], found: number, total: number | null}}
 *   `found` counts all artists, `total` all plays where the list is one of single plays.
 */
export function readList(text) {
  const plain = text.replace(/^\uFEFF/, "");
  const table = readTable(plain);
  const { artists, total } = table ?? { artists: readLines(plain), total: null };
  const merged = merge(artists);
  if (merged.every((artist) => artist.plays !== null)) merged.sort((a, b) => b.plays - a.plays);
  return { artists: merged.slice(0, MOST_ARTISTS), found: merged.length, total };
}

function readLines(text) {
  const artists = [];
  for (const line of text.split(/\r\n|\r|\n/)) {
    const entry = line.replace(/^\s*\d{1,4}[.)]\s+/, "").trim();
    const cut = /^(.*\S)\s*(?:,|;|\t)\s*("?)([\d.,’' ]*\d)\2$/.exec(entry);
    const plays = cut ? readPlays(cut[3]) : null;
    const name = cut && !Number.isNaN(plays) ? cut[1] : entry;
    artists.push({ name: unquoted(name), plays: name === entry ? null : plays });
  }
  return artists;
}

function readTable(text) {
  const first = text.slice(0, (text + "\n").search(/[\r\n]/));
  const delimiter = [",", ";", "\t"].reduce((a, b) => (count(first, b) > count(first, a) ? b : a));
  const rows = readCells(text, delimiter).filter((row) => row.some((cell) => cell.trim()));
  if (!rows.length) return null;
  const header = rows[0].map((cell) => cell.trim().toLowerCase());
  const artist = header.findIndex((name) => ARTIST_COLUMNS.includes(name));
  if (artist >= 0) {
    const plays = header.findIndex((name) => PLAYS_COLUMNS.includes(name));
    return readColumns(rows.slice(1), artist, plays);
  }
  const timed = rows.filter((row) => row.length > 2 && SCROBBLE_TIME.test(row.at(-1).trim()));
  return timed.length > rows.length / 2 ? readColumns(rows, 0, -1) : null;
}

function readColumns(rows, artist, plays) {
  const named = rows.filter((row) => row[artist]?.trim());
  if (plays >= 0) {
    const artists = named.map((row) => {
      const value = readPlays(row[plays] ?? "");
      return { name: row[artist].trim(), plays: Number.isNaN(value) ? null : value };
    });
    return { artists, total: null };
  }
  const artists = merge(named.map((row) => ({ name: row[artist].trim(), plays: 1 })));
  if (artists.every(({ plays: n }) => n === 1)) {
    return { artists: artists.map(({ name }) => ({ name, plays: null })), total: null };
  }
  return { artists, total: named.length };
}

/** Adds up the plays of an artist's several rows. */
function merge(artists) {
  const byKey = new Map();
  for (const { name, plays } of artists) {
    if (!name || name.length > LONGEST_NAME) continue;
    const key = searchText(name);
    const known = byKey.get(key);
    if (!known) byKey.set(key, { name, plays });
    else if (plays !== null) known.plays = (known.plays ?? 0) + plays;
  }
  return [...byKey.values()];
}

/** Rows of cells by RFC 4180: quoted cells may hold delimiters, line ends and doubled quotes. */
function readCells(text, delimiter) {
  const rows = [];
  let row = [];
  let cell = "";
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') cell += text[i++];
      else quoted = false;
    } else if (c === '"' && !cell.trim()) {
      quoted = true;
      cell = "";
    } else if (c === delimiter) {
      row.push(cell);
      cell = "";
    } else if (c === "\n" || c === "\r") {
      rows.push([...row, cell]);
      row = [];
      cell = "";
    } else cell += c;
  }
  rows.push([...row, cell]);
  return rows;
}

function unquoted(name) {
  return /^".*"$/.test(name) ? name.slice(1, -1).replaceAll('""', '"') : name;
}

function count(text, character) {
  return text.split(character).length - 1;
}

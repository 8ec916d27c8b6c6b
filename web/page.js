import { ArtistIndex, searchText } from "./artists.js";
import { LONGEST_NAME, MOST_ARTISTS, readList, readPlays } from "./lists.js";
import { CLASSES, WorldMap } from "./map.js";
import { SignIn } from "./sign_in.js";

const EVERY_COUNTRY = 1000; // more than there are: the map colours all that the bundle knows
const SHOWN = 10; // rows of a table before "show all"
const PATIENCE = 70_000; // milliseconds; the endpoint itself gives up after 60 s
const EXAMPLE = 8; // artists
const KEPT = "listening.listener";
const UNTRAINED = "prior"; // the champion before any training

const $ = (id) => document.getElementById(id);

/** What is on the page. Artists are {name, plays (as typed), unknown}. */
const state = { artists: [], answer: null, signIn: null, index: null, map: null, asking: 0 };

// ---------------------------------------------------------------- asking the server

/** An error whose message is for the user. */
class Refusal extends Error {}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (state.signIn) headers.Authorization = `Bearer ${state.signIn.token}`;
  const signal = AbortSignal.timeout(PATIENCE);
  let response;
  try {
    response = await fetch(path, { ...options, headers, signal });
  } catch (error) {
    throw new Refusal(
      error.name === "TimeoutError"
        ? "No answer came in time. Try again in a moment."
        : "The server cannot be reached. Is it still running? Try again when it is.",
    );
  }
  if (response.status === 401 && state.signIn) {
    state.signIn.token = null;
    showSignIn("Your sign-in has ended.");
    throw new Refusal("Sign in again to ask.");
  }
  const document = await response.json().catch(() => null);
  if (!response.ok) {
    throw new Refusal(document?.message ?? `The server answered with status ${response.status}.`);
  }
  if (document === null) throw new Refusal("The server’s answer is not JSON.");
  return document;
}

// ---------------------------------------------------------------- small helpers

/** Makes an element; names with a hyphen are attributes, the others properties. */
function make(tag, values = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(values)) {
    if (name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** A share in two digits, for a sentence. */
function percent(share) {
  if (share >= 0.995) return ">99%";
  return share >= 0.0995 ? `${Math.round(100 * share)}%` : exactPercent(share);
}

/** A share to a tenth of a per cent, for a table. */
function exactPercent(share) {
  return share < 0.0005 ? "<0.1%" : `${(100 * share).toFixed(1)}%`;
}

const number = new Intl.NumberFormat("en");

function plural(n, one, many = `${one}s`) {
  return `${number.format(n)} ${n === 1 ? one : many}`;
}

// ---------------------------------------------------------------- the listener's artists

function keep() {
  const artists = state.artists.map(({ name, plays }) => ({ name, plays }));
  const kept = { artists, total: $("total").value };
  sessionStorage.setItem(KEPT, JSON.stringify(kept));
}

function restore() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
    state.artists = (kept.artists ?? []).map(({ name, plays }) => artistOf(name, plays));
    $("total").value = kept.total ?? "";
  } catch {
    sessionStorage.removeItem(KEPT);
  }
}

const artistOf = (name, plays) => ({ name, plays: plays ?? "", unknown: false });

/** Adds an artist and tells how it went. */
function add(name) {
  const plain = name.trim().replace(/\s+/g, " ").slice(0, LONGEST_NAME);
  if (!plain) return;
  const twin = state.artists.findIndex((artist) => searchText(artist.name) === searchText(plain));
  if (twin >= 0) {
    complain(`${state.artists[twin].name} is in the list already.`);
    return;
  }
  if (state.artists.length >= MOST_ARTISTS) {
    complain(`A list has at most ${MOST_ARTISTS} artists: remove one first.`);
    return;
  }
  complain("");
  state.artists.push(artistOf(plain));
  listChanged();
  announce(`${plain} added, ${plural(state.artists.length, "artist")} in the list.`);
  $("artists").lastElementChild.scrollIntoView({ block: "nearest" });
}

function remove(place) {
  const [{ name }] = state.artists.splice(place, 1);
  listChanged();
  announce(`${name} removed.`);
  const buttons = $("artists").querySelectorAll(".remove");
  (buttons[Math.min(place, buttons.length - 1)] ?? $("artist")).focus();
}

function listChanged() {
  keep();
  drawArtists();
  markStale();
}

function drawArtists() {
  const rows = state.artists.map((artist, place) => {
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
      keep();
      markStale();
    });
    const button = make("button", {
      type: "button",
      className: "remove",
      "aria-label": `Remove ${artist.name}`,
      title: "Remove",
      textContent: "×",
    });
    button.addEventListener("click", () => remove(place));
    const name = make("span", { className: "name" }, artist.name);
    if (artist.unknown) name.append(" ", make("span", { className: "badge" }, "not known"));
    return make("li", {}, name, plays, button);
  });
  $("artists").replaceChildren(...rows);
  $("nobody").hidden = rows.length > 0;
  $("list-heading").hidden = rows.length === 0;
  $("clear").disabled = rows.length === 0;
  $("count").textContent = rows.length || "";
}

function useList(text) {
  const { artists, found, total } = readList(text);
  if (!found) {
    complain("There is no artist in this list. Paste one artist a line, or a CSV with a column artist.");
    return;
  }
  state.artists = artists.map(({ name, plays }) => artistOf(name, plays === null ? "" : String(plays)));
  if (total !== null) $("total").value = String(total);
  listChanged();
  $("list").value = "";
  $("paste").open = false;
  const left =
    found > artists.length ? `: the ${MOST_ARTISTS} most played of ${number.format(found)}` : "";
  complain("");
  announce(`${plural(artists.length, "artist")} taken from the list${left}.`);
  say(`${plural(artists.length, "artist")} taken${left}.`);
  $("ask").focus();
}

/** Says what is wrong with the listener. */
function complain(reason) {
  $("problem").className = "problem";
  $("problem").textContent = reason;
}

/** Says something that is not wrong where problems are said. */
function say(text) {
  $("problem").className = "problem fine";
  $("problem").textContent = text;
}

function announce(text) {
  $("status").textContent = text;
}

// ---------------------------------------------------------------- suggestions

/** The combobox pattern of the ARIA Authoring Practices, with a list that opens while typing. */
class Suggestions {
  constructor(input, list) {
    this.input = input;
    this.list = list;
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
      names = (await state.index?.find(this.input.value)) ?? [];
    } catch {
      names = []; // any name may be typed in full
    }
    if (turn !== this.turn) return; // more was typed meanwhile
    const taken = new Set(state.artists.map((artist) => searchText(artist.name)));
    this.show(names.filter((name) => !taken.has(searchText(name))));
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
    add(name);
    this.input.focus();
  }
}

// ---------------------------------------------------------------- asking and answering

function question() {
  const artists = state.artists.map((artist, place) => {
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
  const total_scrobbles = total === null ? {} : { total_scrobbles: total };
  return { top_artists: artists, ...total_scrobbles, k: EVERY_COUNTRY, explain: true };
}

async function submit(event) {
  event.preventDefault();
  const turn = ++state.asking;
  complain("");
  try {
    const body = JSON.stringify(question());
    waiting(true);
    announce("Asking.");
    const headers = { "Content-Type": "application/json" };
    const answer = await ask("countries", { method: "POST", headers, body });
    if (turn === state.asking) showAnswer(answer);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (turn === state.asking) {
      announce("");
      complain(error.message);
    }
  } finally {
    if (turn === state.asking) waiting(false);
  }
}

function waiting(is) {
  $("answer").setAttribute("aria-busy", String(is));
  $("ask").classList.toggle("busy", is);
  $("ask").textContent = is ? "Asking…" : "Find the country";
}

function showAnswer(answer) {
  state.answer = answer;
  const known = new Set(
    (answer.explanation?.artists ?? []).map(({ artist_name }) => searchText(artist_name)),
  );
  // The bundle tells how many it does not know; which these are is seen from those it explains by.
  const unknown = state.artists.filter((artist) => !known.has(searchText(artist.name)));
  const named = unknown.length === answer.unknown_artists;
  for (const artist of state.artists) artist.unknown = named && unknown.includes(artist);
  drawArtists();
  showBundle(answer.bundle_version);
  $("synthetic").hidden = !answer.synthetic;
  $("answer").classList.remove("stale");
  drawVerdict(answer);
  state.map?.paint(answer.countries);
  drawMapWords(answer);
  drawTable("countries", answer.countries, "country");
  drawTable("regions", answer.regions, "region");
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

function drawMapWords({ countries }) {
  const best = countries.slice(0, 5).map((c) => `${c.name} ${percent(c.probability)}`);
  $("map").setAttribute("aria-label", `Map of the world by probability: ${best.join(", ")}`);
  const steps = CLASSES.map((from, place) => {
    const to = CLASSES[place + 1];
    const words = place === 0 ? `<${100 * to}%` : to ? `${100 * from}–${100 * to}%` : `>${100 * from}%`;
    return make("span", {}, make("i", { className: `swatch p${place}` }), words);
  });
  const other = make("span", {}, make("i", { className: "swatch" }), "not in this bundle");
  $("legend").replaceChildren(...steps, other);
  $("legend").hidden = false;
  $("map-line").hidden = false;
  zoom($("close").getAttribute("aria-pressed") === "true");
}

function zoom(close) {
  $("close").setAttribute("aria-pressed", close);
  $("wide").setAttribute("aria-pressed", !close);
  if (close) state.map?.close();
  else state.map?.wide();
}

/** Says which country a pointer is at. */
function point(code) {
  state.map?.point(code);
  const country = state.answer?.countries.find((entry) => entry.country === code);
  $("pointed").hidden = !state.answer;
  $("pointed").textContent = country
    ? `${country.name}: ${exactPercent(country.probability)}`
    : "Point at a country.";
}

function drawTable(id, entries, code) {
  const longest = entries[0]?.probability || 1;
  const rows = entries.map((entry) => {
    const meter = make("span", { className: "bar", "aria-hidden": "true" });
    meter.style.width = `${(100 * entry.probability) / longest}%`;
    const row = make("tr", {},
      make("th", { scope: "row" }, entry.name, make("span", { className: "track" }, meter)),
      make("td", { className: "number" }, exactPercent(entry.probability)));
    if (code === "country") {
      row.addEventListener("pointerenter", () => point(entry.country));
      row.addEventListener("pointerleave", () => point(null));
    }
    return row;
  });
  $(id).replaceChildren(...rows);
  fold(rows, $(`more-${id}`), code === "country" ? "countries" : "");
}

/** Hides what is beyond the first rows behind a button. */
function fold(rows, button, what) {
  if (!button) return;
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

function drawDrivers({ explanation, countries }) {
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

function markStale() {
  if (!state.answer) return;
  $("answer").classList.add("stale");
}

function clear() {
  state.artists = [];
  $("total").value = "";
  complain("");
  listChanged();
  announce("The list is empty.");
  $("artist").focus();
}

async function example() {
  try {
    const popular = [...(await state.index.popular())];
    const taken = [];
    while (popular.length && taken.length < EXAMPLE) {
      taken.push(...popular.splice(Math.floor(Math.random() * popular.length), 1));
    }
    state.artists = taken.map((name) => artistOf(name));
    complain("");
    listChanged();
    announce(`${plural(taken.length, "artist")} as an example.`);
    $("ask").focus();
  } catch (error) {
    complain(`There is no example: ${error.message}`);
  }
}

// ---------------------------------------------------------------- beginning

function showBundle(version) {
  $("untrained").hidden = version !== UNTRAINED;
  $("bundle").textContent = version === UNTRAINED ? "" : `Bundle ${version}.`;
}

async function readChampion() {
  const { bundle_version: version } = await ask("champion");
  showBundle(version);
  const index = new ArtistIndex((file) => ask(`artist_index/${version}/${file}`));
  try {
    const { size } = await index.file("index.json");
    state.index = index;
    $("size").textContent = `the bundle’s ${plural(size, "artist")}`;
  } catch {
    $("artist-hint").textContent = "Most played first. Type names in full: there are no suggestions.";
  }
  $("example").hidden = state.index === null;
}

function showSignIn(reason) {
  $("sign-in").hidden = false;
  $("desk").hidden = true;
  if (reason) $("sign-in-reason").textContent = reason;
}

async function signedIn(config) {
  if (!config) return true;
  state.signIn = new SignIn(config);
  $("sign-in-start").addEventListener("click", () => {
    state.signIn.start().catch((error) => showSignIn(error.message));
  });
  try {
    await state.signIn.finish();
  } catch (error) {
    showSignIn(error.message);
    return false;
  }
  if (!state.signIn.token) showSignIn();
  return state.signIn.token !== null;
}

async function start() {
  new Suggestions($("artist"), $("suggestions"));
  $("listener").addEventListener("submit", submit);
  $("clear").addEventListener("click", clear);
  $("example").addEventListener("click", example);
  $("list-take").addEventListener("click", () => useList($("list").value));
  $("list-file").addEventListener("change", async () => {
    const [file] = $("list-file").files;
    if (file) useList(await file.text());
    $("list-file").value = "";
  });
  $("total").addEventListener("input", () => {
    $("total").removeAttribute("aria-invalid");
    keep();
    markStale();
  });
  $("wide").addEventListener("click", () => zoom(false));
  $("close").addEventListener("click", () => zoom(true));
  $("map").addEventListener("pointerover", (event) => point(event.target.dataset?.country));
  $("map").addEventListener("pointerleave", () => point(null));
  restore();
  drawArtists();
  try {
    const [config, world] = await Promise.all([ask("config.json"), ask("world.json")]);
    state.map = new WorldMap($("map"), world);
    if (!(await signedIn(config.sign_in))) return;
    $("desk").hidden = false;
    await readChampion();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    $("desk").hidden = state.signIn !== null && state.signIn.token === null;
    complain(error.message);
  } finally {
    document.documentElement.dataset.ready = "true";
  }
}

start();

import { Answer } from "./answer.js";
import { Bundle } from "./bundle.js";
import { $ } from "./elements.js";
import { Listener } from "./listener.js";
import { MapView } from "./map_view.js";
import { Refusal, announce, complain } from "./messages.js";
import { plural } from "./numbers.js";
import { takeLists } from "./paste.js";
import { ask } from "./server.js";
import { Suggestions } from "./suggestions.js";

const EVERY_COUNTRY = 1000; // more than there are: the map colours all that the bundle knows

const map = new MapView();
const answer = new Answer(map);
const bundle = new Bundle();
const listener = new Listener(() => answer.markStale());
let asked = 0; // questions; only the last one's answer is shown

async function submit(event) {
  event.preventDefault();
  const turn = ++asked;
  complain("");
  try {
    const question = { ...listener.question(), k: EVERY_COUNTRY, explain: true };
    waiting(true);
    announce("Asking.");
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify(question);
    const reply = await ask("country", { method: "POST", headers, body });
    if (turn === asked) show(reply);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (turn === asked) {
      announce("");
      complain(error.message);
    }
  } finally {
    if (turn === asked) waiting(false);
  }
}

function waiting(is) {
  $("answer").setAttribute("aria-busy", String(is));
  $("ask").classList.toggle("busy", is);
  $("ask").textContent = is ? "Asking…" : "Find the country";
}

function show(reply) {
  listener.markUnknown(reply);
  bundle.show(reply.bundle_version);
  answer.show(reply);
}

async function example() {
  try {
    const names = await bundle.example();
    listener.replace(names.map((name) => ({ name })));
    announce(`${plural(names.length, "artist")} as an example.`);
    $("ask").focus();
  } catch (error) {
    complain(`There is no example: ${error.message}`);
  }
}

/** Artists for what is typed, without those in the list. */
async function suggest(query) {
  const names = await bundle.find(query);
  return names.filter((name) => !listener.find(name));
}

async function start() {
  const take = (name) => listener.add(name);
  new Suggestions($("artist"), $("suggestions"), { find: suggest, take });
  takeLists(listener);
  $("listener").addEventListener("submit", submit);
  $("example").addEventListener("click", example);
  try {
    map.draw(await ask("world.json"));
    $("desk").hidden = false;
    await bundle.read();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    $("desk").hidden = false;
    complain(error.message);
  } finally {
    document.documentElement.dataset.ready = "true";
  }
}

start();

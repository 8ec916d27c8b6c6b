// A whole list at once: pasted, or from a file.

import { $ } from "./elements.js";
import { MOST_ARTISTS, readList } from "./lists.js";
import { announce, complain, say } from "./messages.js";
import { number, plural } from "./numbers.js";

/** Lets the user paste or choose what replaces a listener's list. */
export function takeLists(listener) {
  $("list-take").addEventListener("click", () => useList(listener, $("list").value));
  $("list-file").addEventListener("change", async () => {
    const [file] = $("list-file").files;
    if (file) useList(listener, await file.text());
    $("list-file").value = "";
  });
}

function useList(listener, text) {
  const { artists, found, total } = readList(text);
  if (!found) {
    complain("There is no artist in this list. Paste one artist a line, or a CSV with a column artist.");
    return;
  }
  listener.replace(artists, total);
  $("list").value = "";
  $("paste").open = false;
  const left =
    found > artists.length ? `: the ${MOST_ARTISTS} most played of ${number.format(found)}` : "";
  announce(`${plural(artists.length, "artist")} taken from the list${left}.`);
  say(`${plural(artists.length, "artist")} taken${left}.`);
  $("ask").focus();
}

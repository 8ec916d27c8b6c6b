"""The artists of a bundle as small files that a page searches in while its user types.

The files are a tree over the beginnings of words, so that both ``the bea`` and ``bea`` lead to The
Beatles. Whoever searches starts at `ROOT` and follows ``next``, one character of the text at a
time, as far as it leads:

- a file with ``next`` lists the artists of its beginning that have most listeners, and which file
  goes on with which character;
- a file without ``next`` lists all artists of one or more beginnings, most listeners first, and is
  searched by the whole text.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from listening.country.artist_table import ArtistTable

FORMAT_VERSION = 1
FOLDER = "artist_index"
"""The index's folder among the files of a bundle's report."""
ROOT = "index.json"
FILE_NAME = re.compile(r"index\.json|[1-9][0-9]{0,6}\.json")
"""What a file of the index can be called."""
MOST_BYTES = 32 * 1024  # of artists in one file
MOST_SHOWN = 40  # artists in a file that others go on from
DEEPEST = 10  # characters; beyond, the least heard artists give way to `MOST_BYTES`
LONGEST_NAME = 200  # characters; whoever is called longer is no artist that anyone types

_WORD = re.compile(r"(?<!\w)\w")

Entry = tuple[str, int]
"""The first `DEEPEST` characters from the beginning of a word on, and the artist's place."""


def write_artist_index(table: ArtistTable, folder: Path) -> None:
    """Write the index of a table's artists.

    Parameters
    ----------
    table
        The artists.
    folder
        Made anew; gets `ROOT` and as many numbered files as it takes.
    """
    folder.mkdir(parents=True)
    order = np.argsort(-table.listeners, kind="stable").tolist()
    names = [name for name in map(table.name, order) if 0 < len(name) <= LONGEST_NAME]
    texts = [search_text(name) for name in names]
    entries = [
        (text[start : start + DEEPEST], place)
        for place, text in enumerate(texts)
        for start in word_starts(text)
    ]
    _Writer(folder, names, texts).write_root(entries)


def search_text(name: str) -> str:
    """Return a name as it is searched: small letters without accents.

    The page does the same to what its user types.

    Examples
    --------
    >>> search_text("Sigur Rós")
    'sigur ros'
    """
    if name.isascii():
        return name.lower()
    text = unicodedata.normalize("NFKD", name).lower()
    return "".join(c for c in text if not unicodedata.category(c).startswith("M"))


def word_starts(text: str) -> list[int]:
    """Return where a search may begin in a text: at its start and at every word's.

    Examples
    --------
    >>> word_starts("...and you will")
    [0, 3, 7, 11]
    """
    return sorted({0, *(match.start() for match in _WORD.finditer(text))})


@dataclass
class _Writer:
    """Writes the files of one index.

    Parameters
    ----------
    folder
        Where to.
    names, texts
        Of the artists, most listeners first.
    files
        How many numbered files there are so far.
    """

    folder: Path
    names: Sequence[str]
    texts: Sequence[str]
    files: int = field(default=0, init=False)

    def write_root(self, entries: list[Entry]) -> None:
        about = {"format_version": FORMAT_VERSION, "size": len(self.names)}
        if self._bytes(entries) <= MOST_BYTES:
            self._put(ROOT, about | self._leaf(entries))
        else:
            self._put(ROOT, about | self._inner("", entries))

    def _inner(self, beginning: str, entries: list[Entry]) -> dict[str, Any]:
        """Return a file that others go on from, after writing those."""
        depth = len(beginning)
        places = list(dict.fromkeys(place for _, place in entries))
        exact = [place for place in places if self.texts[place] == beginning]
        shown = list(dict.fromkeys([*exact[:MOST_SHOWN], *places[:MOST_SHOWN]]))[:MOST_SHOWN]
        groups: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            if len(entry[0]) > depth:
                groups[entry[0][depth]].append(entry)
        following: dict[str, int] = {}
        waiting: list[str] = []  # characters that share the next file
        size = 0
        for character, group in sorted(groups.items()):
            more = self._bytes(group)
            if more > MOST_BYTES:
                following[character] = self._file(
                    self._leaf(group)
                    if depth + 1 == DEEPEST
                    else self._inner(beginning + character, group)
                )
                continue
            if size + more > MOST_BYTES:
                following |= self._share(waiting, groups)
                waiting, size = [], 0
            waiting.append(character)
            size += more
        following |= self._share(waiting, groups)
        return {"artists": [self.names[place] for place in shown], "next": following}

    def _share(self, characters: Iterable[str], groups: dict[str, list[Entry]]) -> dict[str, int]:
        """Write one file for what follows on several characters."""
        together = [entry for character in characters for entry in groups[character]]
        if not together:
            return {}
        return dict.fromkeys(characters, self._file(self._leaf(together)))

    def _leaf(self, entries: list[Entry]) -> dict[str, Any]:
        artists, left = [], MOST_BYTES
        for place in sorted({place for _, place in entries}):
            left -= self._size(place)
            if left < 0:
                break
            artists.append(self.names[place])
        return {"artists": artists}

    def _bytes(self, entries: list[Entry]) -> int:
        return sum(self._size(place) for place in {place for _, place in entries})

    def _size(self, place: int) -> int:
        return len(self.names[place].encode()) + 3  # two quotes, one comma

    def _file(self, document: dict[str, Any]) -> int:
        self.files += 1
        number = self.files
        self._put(f"{number}.json", document)
        return number

    def _put(self, name: str, document: dict[str, Any]) -> None:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        (self.folder / name).write_text(text, "utf-8")

"""A listener read from a file: an export of plays, a table of artists, or JSON for the endpoint."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from listening.errors import DataError
from listening.log.plain import parse_number
from ops.convert import exported_plays
from ops.convert.lastfm import ARTIST, ARTIST_MBID, LISTENER
from ops.convert.sources import Dropped, Source, cells, entries, table
from ops.convert.spotify import NO_MUSIC
from ops.country.client import Artist, Listener

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ops.convert.plays import Play

MOST_ARTISTS = 1_000
"""What the endpoint takes of one listener."""
EXAMPLE = '{"top_artists": [{"artist_name": "Björk", "playcount": 12}]}'

PLAYCOUNT = ("playcount", "play_count", "plays", "scrobbles", "listen_count")
RANK = ("rank",)
OPTIONS = {"k": "-k", "explain": "--explain", "level": None}
"""What a request asks beside the listener, and the option that does."""


class Read(NamedTuple):
    """A listener, and what has to be said about the file."""

    listener: Listener
    notes: list[str]


def read_listener(content: bytes, *, source: str) -> Read:
    """Read one listener from an export of plays, a table of artists, or JSON.

    Parameters
    ----------
    content
        An export of plays that `ops.convert` reads, of whose artists the `MOST_ARTISTS` most
        played are taken; a CSV with a column ``artist_name`` or ``artist``, and ``playcount``,
        ``rank`` and ``mbid`` where known, an artist's several rows added up; or JSON as the
        endpoint takes it, or its list ``top_artists`` alone.
    source
        What it is called in an error.

    Raises
    ------
    DataError
        It is none of these, a row of it is damaged, it names no artist, or more than one listener.
    """
    file = Source.of_bytes(content, name=source)
    if not file.first_lines:
        raise DataError(f"{source}: no artists in it; expected a CSV of artists, or {EXAMPLE}")
    plays = exported_plays(file)
    if plays is not None:
        return _of_plays(plays, source)
    if file.first_lines[0].lstrip().startswith(("{", "[")):
        return _of_json(file)
    return _of_table(file)


def _of_plays(plays: Iterable[Play | Dropped], source: str) -> Read:
    counts: dict[str, float] = {}
    mbids: dict[str, str] = {}
    listeners: set[str] = set()
    for play in plays:
        if isinstance(play, Dropped):
            if play.reason not in NO_MUSIC:
                raise _damaged(source, play)
        elif play.artist_name:
            counts[play.artist_name] = counts.get(play.artist_name, 0) + 1
            mbids.setdefault(play.artist_name, play.mbid)
            listeners.add(play.user_id)
    user_id = _one_listener(listeners, source)
    most_played = _by_falling(counts)
    artists = [
        Artist(name, counts[name], mbids[name] or None) for name in most_played[:MOST_ARTISTS]
    ]
    if not artists:
        raise DataError(f"{source}: no artists in it; none of its plays names one")
    notes = []
    if len(most_played) > MOST_ARTISTS:
        notes.append(
            f"{source} has {len(most_played):,} artists; the {MOST_ARTISTS:,} most played are sent."
        )
    return Read(Listener(artists, user_id=user_id), notes)


def _by_falling(counts: Mapping[str, float]) -> list[str]:
    return sorted(counts, key=lambda name: -counts[name])


def _one_listener(listeners: Iterable[str], source: str) -> str | None:
    named = sorted(listener for listener in listeners if listener)
    if len(named) > 1:
        some = ", ".join(named[:3]) + (", …" if len(named) > 3 else "")
        raise DataError(
            f"{source}: plays of {len(named):,} listeners ({some}); leave those of one, or score "
            "all of them with `listening score`"
        )
    return named[0] if named else None


def _damaged(source: str, dropped: Dropped) -> DataError:
    return DataError(f"{source}, line {dropped.row}: {dropped.reason}; mend or remove it")


def _of_json(file: Source) -> Read:
    expected = f"expected {EXAMPLE}, or an export that `listening data convert` reads"
    document = _document(file, expected)
    listed = document.get("top_artists")
    if not isinstance(listed, list):
        raise DataError(f"{file.name} has {_keys(document)}; {expected}")
    for key in sorted(document.keys() - {"top_artists", "total_scrobbles", "user_id"}):
        raise _not_asked(file.name, key)
    rows = []
    for number, entry in enumerate(listed, start=1):
        if not isinstance(entry, dict):
            raise DataError(f"{file.name}, entry {number}: not an object; {expected}")
        columns = _Columns.of(list(entry))
        name = entry.get(columns.artist)
        if not isinstance(name, str) or not name.strip():
            raise DataError(
                f"{file.name}, entry {number}: no artist_name, it has {_keys(entry)}; {expected}"
            )
        rows.append((Artist(name, entry.get(columns.playcount), entry.get(columns.mbid)), entry))
    if not rows:
        raise DataError(f"{file.name}: no artists in it; {expected}")
    if all(isinstance(entry.get("rank"), int | float) for _, entry in rows):
        rows.sort(key=lambda row: float(row[1]["rank"]))
    listeners = {str(entry.get(_Columns.of(list(entry)).listener) or "") for _, entry in rows}
    return Read(
        Listener(
            [artist for artist, _ in rows],
            document.get("total_scrobbles"),
            document.get("user_id") or _one_listener(listeners, file.name),
        ),
        _ignored(file.name, (key for _, entry in rows for key in entry)),
    )


def _document(file: Source, expected: str) -> dict[str, Any]:
    """Return the object of a file, or its list of artists as one."""
    found: list[dict[str, Any]] = []
    for entry in entries(file):
        if isinstance(entry, Dropped):
            raise DataError(f"{file.name}, entry {entry.row}: {entry.reason}; {expected}")
        found.append(entry[1])
    is_object = file.first_lines[0].lstrip().startswith("{") and len(found) == 1
    return found[0] if is_object else {"top_artists": found}


def _keys(found: Mapping[str, Any]) -> str:
    return f"the keys {', '.join(found)}" if found else "no keys"


def _not_asked(source: str, name: str) -> DataError:
    if name not in OPTIONS:
        return DataError(f"{source}: {name!r} is not read; it may hold {EXAMPLE}")
    option = OPTIONS[name]
    remedy = f"give {option} instead" if option else "send the endpoint your own request"
    return DataError(f"{source}: {name!r} is not read from a file; remove it, or {remedy}")


def _ignored(source: str, names: Iterable[str]) -> list[str]:
    used = {*ARTIST, *PLAYCOUNT, *RANK, *ARTIST_MBID, *LISTENER}
    some = sorted(set(names) - used)
    return [f"Not used of {source}: {', '.join(some)}."] if some else []


class _Columns(NamedTuple):
    """What columns or keys are called; empty for what is not there."""

    artist: str
    playcount: str
    rank: str
    mbid: str
    listener: str

    @classmethod
    def of(cls, names: Sequence[str]) -> _Columns:
        return cls(
            *(
                next((name for name in wanted if name in names), "")
                for wanted in (ARTIST, PLAYCOUNT, RANK, ARTIST_MBID, LISTENER)
            )
        )


@dataclass
class _Added:
    """An artist's rows, added up."""

    playcount: float = 0.0
    rows: int = 0
    rank: float = math.inf
    mbid: str | None = None


def _of_table(file: Source) -> Read:
    first = file.first_lines[0]
    delimiter = max(",;\t", key=first.count)
    names = [name.strip().casefold() for name in cells(first, delimiter)]
    columns = _Columns.of(names)
    if not columns.artist:
        raise DataError(
            f"{file.name}: no column 'artist_name' or 'artist'; the file has {', '.join(names)}"
        )
    for name in OPTIONS:
        if name in names:
            raise _not_asked(file.name, name)
    artists: dict[str, _Added] = {}
    listeners: set[str] = set()
    rows = table(file, delimiter, columns=len(names))
    next(rows, None)
    for row in rows:
        if isinstance(row, Dropped):
            raise _damaged(file.name, row)
        values = dict(zip(names, (field.strip() for field in row[1]), strict=True))
        if not values[columns.artist]:
            continue
        where = f"{file.name}, line {row[0]}"
        added = artists.setdefault(values[columns.artist], _Added())
        added.playcount += _number(values.get(columns.playcount, ""), 1.0, where)
        added.rank = min(added.rank, _number(values.get(columns.rank, ""), math.inf, where))
        added.rows += 1
        added.mbid = added.mbid or values.get(columns.mbid) or None
        listeners.add(values.get(columns.listener, ""))
    if not artists:
        raise DataError(f"{file.name}: no artists in it")
    known = bool(columns.playcount) or any(added.rows > 1 for added in artists.values())
    order = sorted(
        artists, key=lambda name: -artists[name].playcount if known else artists[name].rank
    )
    return Read(
        Listener(
            [
                Artist(name, artists[name].playcount if known else None, artists[name].mbid)
                for name in order
            ],
            user_id=_one_listener(listeners, file.name),
        ),
        _ignored(file.name, names),
    )


def _number(text: str, missing: float, where: str) -> float:
    if not text:
        return missing
    number = parse_number(text)
    if number is None:
        raise DataError(f"{where}: {text!r} is no number")
    return number

"""A request's body, of which nothing is trusted, to listeners or feature vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast, get_args

import numpy as np
import numpy.typing as npt

from inference.bodies import (
    check_number_of_listeners,
    listed,
    read_csv,
    read_json,
    read_json_lines,
    read_npy,
    read_parquet,
)
from inference.fields import choice, count, flag, identifier, shown, text, whole_number
from inference.media import CSV, JSON, JSON_LINES, NPY, PARQUET, choose_reader
from listening.country.listeners import RawListener
from listening.errors import RequestError, named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Level = Literal["country", "region"]

MAX_ARTISTS = 1_000  # of one listener; more is answered with 413
ONE_EXAMPLE = '{"top_artists": [{"artist_name": "Björk"}]}'
EXAMPLE = f'{ONE_EXAMPLE} or {{"listeners": […]}}'

_TEXT_COLUMNS = ("user_id", "artist_name", "mbid")
_NUMBER_COLUMNS = ("rank", "playcount", "total_scrobbles")


@dataclass(frozen=True)
class Options:
    """What is asked about a listener.

    Parameters
    ----------
    k
        How many countries.
    explain
        Whether to say which artists drove the answer.
    level
        Down to which level: ``country``, or ``region`` alone.
    """

    k: int = 5
    explain: bool = False
    level: Level = "country"


@dataclass(frozen=True)
class Question:
    """A listener and what is asked about them."""

    listener: RawListener
    options: Options
    user_id: str | None = None


@dataclass(frozen=True)
class Questions:
    """Listeners by their plays; `single` where the caller sent one, not a list of one."""

    items: list[Question]
    single: bool = False


@dataclass(frozen=True)
class FeatureQuestions:
    """Listeners by their feature vectors, float32 of ``(n_listeners, width)``."""

    features: npt.NDArray[np.float32]
    options: Options
    single: bool = False


def parse(body: bytes, content_type: str) -> Questions | FeatureQuestions:
    """Read a request's body.

    Parameters
    ----------
    body
        As received.
    content_type
        Its media type. Where the body has no place for ``k``, ``explain`` and ``level`` (CSV,
        parquet and npy), they are parameters of it: ``text/csv; k=3; level=region``.

    Raises
    ------
    RequestError
        415 for another media type, 413 for too much, 400 for everything else.
    """
    reader, parameters = choose_reader(content_type, _READERS)
    return reader(body, parameters)


def _options(document: Mapping[str, Any], default: Options, where: str = "") -> Options:
    k = whole_number(document.get("k", default.k), where, "k")
    explain = flag(document.get("explain", default.explain), where, "explain")
    level = choice(document.get("level", default.level), get_args(Level), where, "level")
    if (k, explain, level) == (default.k, default.explain, default.level):
        return default
    return Options(k, explain, cast("Level", level))


_PARAMETERS: dict[str, Callable[[str], Any]] = {
    "k": lambda text: int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text,
    "explain": lambda text: {"true": True, "false": False}.get(text, text),
    "level": str,
}


def _parameter_options(parameters: Mapping[str, str]) -> Options:
    known = {
        name: read(parameters[name]) for name, read in _PARAMETERS.items() if name in parameters
    }
    return _options(known, Options(), "Content-Type: ")


def _json(body: bytes, _: Mapping[str, str]) -> Questions:
    document = read_json(body, EXAMPLE)
    if "listeners" not in document:
        return Questions([_question(document, "", Options())], single=True)
    entries = listed(document)
    options = _options(document, Options())
    return Questions(
        [_question(entry, f"listeners[{i}].", options) for i, entry in enumerate(entries)]
    )


def _json_lines(body: bytes, _: Mapping[str, str]) -> Questions:
    entries = read_json_lines(body, ONE_EXAMPLE)
    return Questions([_question(entry, where, Options()) for where, entry in entries])


def _question(entry: Any, where: str, options: Options) -> Question:
    if not isinstance(entry, dict):
        raise RequestError(f"{where.rstrip('.: ')}: must be an object, got {shown(entry)}")
    artists = entry.get("top_artists")
    if not isinstance(artists, list):
        hint = "; a line is one listener" if "listeners" in entry else ""
        raise RequestError(f"{where}top_artists: must be a list, got {shown(artists)}{hint}")
    _check_number_of_artists(len(artists), where)
    names: list[str | None] = []
    mbids: list[str | None] = []
    playcounts: list[float | None] = []
    for i, artist in enumerate(artists):
        place = f"{where}top_artists[{i}]"
        if not isinstance(artist, dict):
            raise RequestError(f"{place}: must be an object, got {shown(artist)}")
        name, mbid = artist.get("artist_name"), artist.get("mbid")
        if name is None and mbid is None:
            raise RequestError(f"{place}: needs artist_name or mbid")
        names.append(text(name, place, "artist_name"))
        mbids.append(text(mbid, place, "mbid"))
        playcounts.append(count(artist.get("playcount"), place, "playcount"))
    return Question(
        RawListener(
            names,
            playcounts if any(plays is not None for plays in playcounts) else None,
            mbids if any(mbids) else None,
            count(entry.get("total_scrobbles"), where, "total_scrobbles"),
        ),
        _options(entry, options, where),
        identifier(entry.get("user_id"), where, "user_id"),
    )


def _check_number_of_artists(n: int, where: str) -> None:
    if n > MAX_ARTISTS:
        raise RequestError(
            f"{where}top_artists: {n} artists, at most {MAX_ARTISTS}; send the most played ones",
            status=413,
        )


@dataclass
class _Plays:
    """One listener of a table of plays, while its rows are being read."""

    user_id: str | None
    rows: list[_Play]
    total_scrobbles: float | None = None

    def listener(self) -> RawListener:
        """Return the listener, artists by rank where there are ranks, else as they came."""
        rows = sorted(self.rows, key=lambda play: math.inf if play.rank is None else play.rank)
        counts, mbids = [play.playcount for play in rows], [play.mbid for play in rows]
        return RawListener(
            [play.name for play in rows],
            counts if any(count is not None for count in counts) else None,
            mbids if any(mbids) else None,
            self.total_scrobbles,
        )


class _Play(NamedTuple):
    """A row of a table."""

    name: str | None
    playcount: float | None
    mbid: str | None
    rank: float | None


def _from_rows(
    rows: Iterable[tuple[str, dict[str, Any]]], columns: Iterable[str], options: Options
) -> Questions:
    """Group rows of one play each by ``user_id``; without it, all are one's."""
    if not {"artist_name", "mbid"} & set(columns):
        got = named([shown(column) for column in columns])
        raise RequestError(f"columns: artist_name or mbid is missing, got {got}")
    listeners: dict[str | None, _Plays] = {}
    for where, row in rows:
        user_id = identifier(row.get("user_id"), where, "user_id")
        listener = listeners.get(user_id)
        if listener is None:
            check_number_of_listeners(len(listeners) + 1)
            listener = listeners[user_id] = _Plays(user_id, [])
        name, mbid = text(row.get("artist_name"), where, "artist_name"), row.get("mbid")
        if name is None and mbid is None:
            raise RequestError(f"{where}needs artist_name or mbid")
        listener.rows.append(
            _Play(
                name,
                count(row.get("playcount"), where, "playcount"),
                text(mbid, where, "mbid"),
                count(row.get("rank"), where, "rank"),
            )
        )
        _check_number_of_artists(len(listener.rows), where)
        total = count(row.get("total_scrobbles"), where, "total_scrobbles")
        listener.total_scrobbles = total if total is not None else listener.total_scrobbles
    return Questions(
        [Question(plays.listener(), options, plays.user_id) for plays in listeners.values()]
    )


def _csv(body: bytes, parameters: Mapping[str, str]) -> Questions:
    columns, rows = read_csv(body, numbers=_NUMBER_COLUMNS)
    return _from_rows(rows, columns, _parameter_options(parameters))


def _parquet(body: bytes, parameters: Mapping[str, str]) -> Questions:
    columns, rows = read_parquet(body, texts=_TEXT_COLUMNS, numbers=_NUMBER_COLUMNS)
    return _from_rows(rows, columns, _parameter_options(parameters))


def _npy(body: bytes, parameters: Mapping[str, str]) -> FeatureQuestions:
    features = read_npy(body)
    return FeatureQuestions(
        np.atleast_2d(features), _parameter_options(parameters), single=features.ndim == 1
    )


_READERS: dict[str, Callable[[bytes, Mapping[str, str]], Questions | FeatureQuestions]] = {
    JSON: _json,
    JSON_LINES: _json_lines,
    CSV: _csv,
    PARQUET: _parquet,
    NPY: _npy,
}

"""A request's body, of which nothing is trusted, to a window, a place and what to leave out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference.bodies import read_json, read_json_lines
from inference.fields import choice, entries, identifier, shown, text, whole_number
from inference.media import JSON, JSON_LINES, choose_reader
from listening.charts.parts import WINDOWS
from listening.countries import country_code
from listening.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_TRACKS = 200
MOST_HEARD = 100_000  # of one listener; more is answered with 413
DEFAULT_K = 10
EXAMPLE = '{"window": "week", "country": "BR", "k": 10}'
KNOWN = ("window", "country", "k", "not_heard_by")


@dataclass(frozen=True)
class Question:
    """What is asked.

    Parameters
    ----------
    window
        Of `WINDOWS`.
    country
        ISO 3166 code; None for the world.
    k
        How many tracks.
    heard
        Ids of tracks that are left out, and pairs of artist and title in lower case.
    """

    window: str
    country: str | None
    k: int
    heard: frozenset[str | tuple[str, str]]


@dataclass(frozen=True)
class Questions:
    """Questions; `single` where the caller sent one, not lines of them."""

    items: list[Question]
    single: bool = False


def parse(body: bytes, content_type: str) -> Questions:
    """Read a request's body.

    Raises
    ------
    RequestError
        415 for another media type, 413 for too much, 400 for everything else.
    """
    media_type, _ = choose_reader(content_type, {JSON: JSON, JSON_LINES: JSON_LINES})
    if media_type == JSON_LINES:
        lines = read_json_lines(body, EXAMPLE)
        return Questions([_question(document, where) for where, document in lines])
    return Questions([_question(read_json(body, EXAMPLE), "")], single=True)


def name_of(artist: str | None, title: str | None) -> tuple[str, str]:
    """Return the pair that stands for a track whose id is not known."""
    return (artist or "").casefold().strip(), (title or "").casefold().strip()


def _question(document: Mapping[str, Any], where: str) -> Question:
    if unknown := [name for name in document if name not in KNOWN]:
        raise RequestError(f"{where}{unknown[0]}: is not known; send {', '.join(KNOWN)}")
    k = whole_number(document.get("k", DEFAULT_K), where, "k")
    if k > MOST_TRACKS:
        raise RequestError(f"{where}k: {k} tracks, at most {MOST_TRACKS}", status=413)
    told = text(document.get("country"), where, "country")
    code = country_code(told) if told else None
    if told and code is None:
        raise RequestError(
            f"{where}country: {shown(told)} is no country; send an ISO 3166 code or English name"
        )
    window = choice(document.get("window", "week"), WINDOWS, where, "window")
    return Question(window, code, k, _heard(document.get("not_heard_by"), where))


def _heard(value: Any, where: str) -> frozenset[str | tuple[str, str]]:
    found: set[str | tuple[str, str]] = set()
    for i, entry in enumerate(entries(value, where, "not_heard_by", most=MOST_HEARD)):
        place = f"{where}not_heard_by[{i}]"
        if not isinstance(entry, dict):
            track = identifier(entry, f"{where}not_heard_by", f"[{i}]")
            if track is not None:
                found.add(track)
            continue
        if track := identifier(entry.get("track_id"), place, "track_id"):
            found.add(track)
        names = (text(entry.get(name), place, name) for name in ("artist_name", "track_name"))
        pair = name_of(*names)
        if all(pair):
            found.add(pair)
    return frozenset(found)

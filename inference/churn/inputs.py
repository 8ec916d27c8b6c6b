"""A request's body, of which nothing is trusted, to what a listener did by day."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.fields import choice, count, entries, identifier, moment, shown, text
from inference.questions import Form, Questions
from listening.churn.days import COUNTS, EVENTS, KINDS, Activity, Done, days_of
from listening.errors import RequestError
from listening.log.plain import bare, parse_time
from listening.log.plays import DAY_US, EARLIEST_US, LONGEST_S, mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


MAX_DAYS = 20_000  # of one listener; more is answered with 413
MAX_PLAYS = 500_000
DAY_S = DAY_US // 1_000_000
EXAMPLE = (
    '{"activity": [{"day": "2024-05-01", "plays": 12, "seconds": 2500}], "as_of": "2024-05-09"}'
)
KNOWN = (*("user_id", "activity", "plays", "events", "as_of", "days", "registered_at", "device"),)
SHARED = ("as_of", "days")
"""What a list of listeners may be given once."""
OF_DAY = ("day", *COUNTS)
_NOTHING = [0.0] * len(COUNTS)
OF_PLAY = ("played_at", "ended_at", "played_s", "length_s", "track_id", "artist_name", "track_name")
OF_EVENT = ("at", "kind", "track_id")


@dataclass(frozen=True)
class Question:
    """A listener at a date, and what is asked about them.

    Parameters
    ----------
    activity
        What the one listener did before the date.
    as_of
        Days since 1970: what is known is what came before that day's beginning, in UTC.
    days
        Horizons that are asked for; empty for all.
    device
        What was used last; empty where unknown.
    user_id
        Whose, if told.
    notes
        What was made of the request that its sender should know.
    """

    activity: Activity
    as_of: int
    days: tuple[int, ...] = ()
    device: str = ""
    user_id: str | None = None
    notes: tuple[str, ...] = ()


def parse(body: bytes, content_type: str, *, horizons: Sequence[int]) -> Questions[Question]:
    """Read a request's body.

    Parameters
    ----------
    body, content_type
        As received.
    horizons
        Days that may be asked for.

    Raises
    ------
    RequestError
        415 for another media type, 413 for too much, 400 for everything else.
    """
    form = Form(
        example=EXAMPLE, known=KNOWN, shared=SHARED, read=partial(_question, horizons=horizons)
    )
    return form.parse(body, content_type)


def _question(document: Mapping[str, Any], where: str, *, horizons: Sequence[int]) -> Question:
    given = document.get("as_of")
    as_of = int((time.time() if given is None else moment(given, where, "as_of")) // DAY_S)
    _check_year(as_of * DAY_S, f"{where}as_of")
    registered = document.get("registered_at")
    came = np.nan if registered is None else moment(registered, where, "registered_at") // DAY_S
    notes: list[str] = []
    if document.get("activity") is not None:
        if other := [name for name in ("plays", "events") if document.get(name) is not None]:
            raise RequestError(f"{where}activity: send either activity or {other[0]}, not both")
        activity = _of_days(document["activity"], where, as_of, came, notes)
    else:
        activity = _of_plays(document, where, as_of, came, notes)
    device = text(document.get("device"), where, "device") or ""
    if device:
        activity = Activity(
            activity.first,
            activity.day,
            activity.counts,
            np.zeros_like(activity.day),
            activity.came,
        )
    return Question(
        activity=activity,
        as_of=as_of,
        days=_days(document.get("days"), where, horizons),
        device=device,
        user_id=identifier(document.get("user_id"), where, "user_id"),
        notes=tuple(notes),
    )


def _check_year(seconds: float, where: str) -> None:
    """Refuse what the job drops, too: the arithmetic of days knows none before 1970."""
    if seconds * 1e6 < EARLIEST_US:
        raise RequestError(f"{where}: must be after the year 1999")


def _days(value: Any, where: str, horizons: Sequence[int]) -> tuple[int, ...]:
    found = entries(value, where, "days", most=len(horizons))
    for i, days in enumerate(found):
        if type(days) is not int or days not in horizons:
            known = ", ".join(map(str, horizons))
            raise RequestError(f"{where}days[{i}]: must be one of {known}, got {shown(days)}")
    return tuple(sorted(set(found)))


def _of_days(value: Any, where: str, as_of: int, came: float, notes: list[str]) -> Activity:
    """Return what was told by day; the same day twice is added."""
    rows: dict[int, list[float]] = {}
    later = again = 0
    for place, entry in _objects(value, where, "activity", OF_DAY, most=MAX_DAYS):
        day = _day(entry.get("day"), place)
        _check_year(day * DAY_S, f"{place}.day")
        counts = [
            0.0 if name not in entry else count(entry[name], place, name) or 0.0 for name in COUNTS
        ]
        if day >= as_of:
            later += 1
        elif any(counts[: len(KINDS)]):
            again += day in rows
            rows[day] = [a + b for a, b in zip(rows.get(day, _NOTHING), counts, strict=True)]
    if again:
        notes.append(f"activity: {again} days were there before, and were added")
    _note_later(notes, "activity", later)
    days = sorted(rows)
    return Activity(
        first=np.array([0, len(days)]),
        day=np.array(days, dtype=np.int64),
        counts=np.array([rows[day] for day in days], dtype=np.float64).reshape(-1, len(COUNTS)),
        device=np.full(len(days), -1),
        came=np.array([came]),
    )


def _day(value: Any, where: str) -> int:
    """Return the days since 1970 of a day as it was told."""
    known = _known_day(value) if isinstance(value, str) else None
    return int(moment(value, where, "day") // DAY_S) if known is None else known


@lru_cache(maxsize=4096)
def _known_day(text: str) -> int | None:
    """Return the days since 1970 of a text; None where it tells no time. Days recur."""
    seconds = parse_time(text)
    return None if seconds is None else int(seconds // DAY_S)


def _of_plays(
    document: Mapping[str, Any], where: str, as_of: int, came: float, notes: list[str]
) -> Activity:
    """Return what plays and events come to by day, as the job counts them."""
    at, kind, played, length, track, artist = [], [], [], [], [], []
    names: dict[Any, int] = {}
    for place, entry in _objects(document.get("plays"), where, "plays", OF_PLAY, most=MAX_PLAYS):
        begins, heard = _heard(entry, place)
        by = _filled(text(entry.get("artist_name"), place, "artist_name"))
        title = text(entry.get("track_name"), place, "track_name") or ""
        of = identifier(entry.get("track_id"), place, "track_id") or (by and (by, title))
        at.append(begins)
        kind.append(KINDS.index("plays"))
        played.append(heard)
        seconds = count(entry.get("length_s"), place, "length_s")
        length.append(np.nan if seconds is None else seconds)
        # A play that tells no track repeats none.
        track.append(names.setdefault(("track", of) if of else len(at), len(names)))
        artist.append(names.setdefault(("artist", by), len(names)) if by else -1)
    for place, entry in _objects(document.get("events"), where, "events", OF_EVENT, most=MAX_PLAYS):
        at.append(moment(entry.get("at"), place, "at"))
        _check_year(at[-1], f"{place}.at")
        kind.append(KINDS.index(EVENTS[choice(entry.get("kind"), EVENTS, place, "kind")]))
        played.append(np.nan)
        length.append(np.nan)
        of = identifier(entry.get("track_id"), place, "track_id")
        track.append(names.setdefault(("event", kind[-1], of), len(names)))
        artist.append(-1)
    micros = (np.array(at, dtype=np.float64) * 1e6).astype(np.int64)
    before = np.flatnonzero(micros // DAY_US < as_of)
    _note_later(notes, "plays and events", len(at) - len(before))
    owner = np.zeros(len(before), dtype=np.int64)
    kinds, tracks, artists = (np.array(v, dtype=np.int64)[before] for v in (kind, track, artist))
    heard_s, length_s = (np.array(v, dtype=np.float64)[before] for v in (played, length))
    marked = mark(owner=owner, track=tracks, started=micros[before], played_s=heard_s)
    if again := int(marked.repeated.sum()):
        notes.append(
            f"plays and events: {again} repeated the same within a second, and were left out"
        )
    order = marked.order[~marked.repeated]
    done = Done(
        owner=owner[order],
        at=micros[before][order],
        kind=kinds[order],
        played_s=heard_s[order],
        length_s=length_s[order],
        artist=artists[order],
        device=np.full(len(order), -1),
    )
    return days_of(done, np.array([came]))


def _heard(play: Mapping[str, Any], where: str) -> tuple[float, float]:
    """Return when a play began, and the seconds that were heard, NaN where unknown."""
    heard = count(play.get("played_s"), where, "played_s")
    told = "ended_at" if play.get("played_at") is None else "played_at"
    began = moment(play.get(told), where, told)
    if told == "ended_at":
        began -= heard or 0.0
    elif heard is None and play.get("ended_at") is not None:
        heard = moment(play["ended_at"], where, "ended_at") - began
        if heard < 0:
            raise RequestError(f"{where}.ended_at: is before played_at")
    _check_year(began, f"{where}.{told}")
    if heard is not None and heard > LONGEST_S:
        raise RequestError(f"{where}.played_s: {heard:g} seconds are over a day")
    return began, np.nan if heard is None else heard


def _filled(name: str | None) -> str | None:
    """Return a name, None where it is blank."""
    return name if name and bare(name) else None


def _objects(
    value: Any, where: str, field: str, known: Sequence[str], *, most: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a list, each with where it is."""
    for i, entry in enumerate(entries(value, where, field, most=most)):
        place = f"{where}{field}[{i}]"
        if not isinstance(entry, dict):
            raise RequestError(f"{place}: must be an object, got {shown(entry)}")
        if unknown := [name for name in entry if name not in known]:
            raise RequestError(f"{place}.{unknown[0]}: is not known; send {', '.join(known)}")
        yield place, entry


def _note_later(notes: list[str], what: str, later: int) -> None:
    if later:
        notes.append(f"{what}: {later} on the day of as_of or after it were left out")

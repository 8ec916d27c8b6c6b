"""A request's body, of which nothing is trusted, to moments."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.fields import choice, count, entries, identifier, moment, shown
from inference.questions import Form, Questions
from listening.errors import RequestError
from listening.sessions.cut import cut, play_lengths
from listening.sessions.forecaster import Moment
from listening.sessions.state import AGES, GENDERS, NOBODY, Profile, Session

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SESSIONS = 20_000  # of one listener; more is answered with 413
MAX_PLAYS = 500_000
MAX_LIMITS = 20
LONGEST_S = 7 * 24 * 60 * 60.0  # of a session
EXAMPLE = (
    '{"sessions": [{"start": "2024-05-01T18:00:00Z", "end": "2024-05-01T19:10:00Z", "plays": 17}], '
    '"now": "2024-05-02T18:00:00Z"}'
)
KNOWN = ("user_id", "sessions", "plays", "now", "open_session", "profile", "longer_than")
SHARED = ("now", "longer_than")
"""What a list of listeners may be given once."""
PROFILE = ("gender", "age", "registered_at")


@dataclass(frozen=True)
class Question:
    """A moment and what is asked about it.

    Parameters
    ----------
    moment
        What is known.
    longer_than
        Seconds of which the probability that the session is longer is asked for.
    user_id
        Whose, if told.
    notes
        What was made of the request that its sender should know.
    """

    moment: Moment
    longer_than: tuple[float, ...] = ()
    user_id: str | None = None
    notes: tuple[str, ...] = ()


@dataclass
class _History:
    """Sessions as they were sent, and notes about them."""

    sessions: list[Session] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def parse(body: bytes, content_type: str, *, gap_s: float) -> Questions[Question]:
    """Read a request's body.

    Parameters
    ----------
    body, content_type
        As received.
    gap_s
        The silence that ends a session.

    Raises
    ------
    RequestError
        415 for another media type, 413 for too much, 400 for everything else.
    """
    form = Form(example=EXAMPLE, known=KNOWN, shared=SHARED, read=partial(_question, gap_s=gap_s))
    return form.parse(body, content_type)


def _question(document: Mapping[str, Any], where: str, *, gap_s: float) -> Question:
    if document.get("sessions") is not None and document.get("plays") is not None:
        raise RequestError(f"{where}sessions: send either sessions or plays, not both")
    if document.get("plays") is not None:
        history = _of_plays(document["plays"], where, gap_s)
    else:
        history = _of_sessions(document.get("sessions"), where)
    if document.get("open_session") is not None:
        history.sessions.append(_session(document["open_session"], f"{where}open_session"))
    given = document.get("now")
    now = time.time() if given is None else moment(given, where, "now")
    _in_order(history, gap_s)
    sessions, going_on = history.sessions, None
    if sessions and now < sessions[-1].end:
        raise RequestError(
            f"{where}now: is before the end of the last session or play; send what was known then"
        )
    if sessions and now - sessions[-1].end <= gap_s:
        *sessions, going_on = sessions
        if not going_on.plays:
            raise RequestError(f"{where}open_session.plays: a session that goes on has plays")
    elif document.get("open_session") is not None:
        history.notes.append(
            f"open_session: over, since nothing was heard for more than {gap_s / 60:.0f} minutes"
        )
    return Question(
        Moment(sessions, now, going_on, _profile(document.get("profile"), where)),
        _limits(document.get("longer_than"), where),
        identifier(document.get("user_id"), where, "user_id"),
        tuple(history.notes),
    )


def _in_order(history: _History, gap_s: float) -> None:
    """Sort sessions, and make one of those that no long silence parts."""
    sessions = history.sessions
    if any(
        after.start < before.start for before, after in zip(sessions, sessions[1:], strict=False)
    ):
        sessions.sort()
        history.notes.append("sessions: were out of order, and sorted")
    joined: list[Session] = []
    for session in sessions:
        if joined and session.start - joined[-1].end <= gap_s:
            last = joined.pop()
            session = Session(  # noqa: PLW2901 - one with the last
                last.start,
                max(last.end, session.end),
                last.plays + session.plays,
                last.skips + session.skips,
            )
        joined.append(session)
    if len(joined) < len(sessions):
        history.notes.append(
            f"sessions: {len(sessions) - len(joined)} began within {gap_s / 60:.0f} minutes of the "
            "one before, and were taken as one with it"
        )
        history.sessions = joined


def _of_sessions(value: Any, where: str) -> _History:
    found = entries(value, where, "sessions", most=MAX_SESSIONS)
    return _History([_session(e, f"{where}sessions[{i}]") for i, e in enumerate(found)])


def _session(entry: Any, where: str) -> Session:
    if not isinstance(entry, dict):
        raise RequestError(f"{where}: must be an object with start and end, got {shown(entry)}")
    start, end = (moment(entry.get(name), f"{where}.", name) for name in ("start", "end"))
    if not 0 <= end - start <= LONGEST_S:
        raise RequestError(f"{where}.end: must be from 0 to 7 days after start")
    plays = count(entry.get("plays"), f"{where}.", "plays") or 0.0
    skips = count(entry.get("skips"), f"{where}.", "skips") or 0.0
    if skips > plays:
        raise RequestError(f"{where}.skips: {skips:g} of {plays:g} plays")
    return Session(start, end, int(plays), int(skips))


def _of_plays(value: Any, where: str, gap_s: float) -> _History:
    started, heard, track = [], [], []
    for i, entry in enumerate(entries(value, where, "plays", most=MAX_PLAYS)):
        place = f"{where}plays[{i}]"
        if not isinstance(entry, dict):
            raise RequestError(f"{place}: must be an object with played_at, got {shown(entry)}")
        played = count(entry.get("played_s"), f"{place}.", "played_s")
        if entry.get("played_at") is not None:
            begins = moment(entry["played_at"], f"{place}.", "played_at")
        else:
            begins = moment(entry.get("ended_at"), f"{place}.", "ended_at") - (played or 0.0)
        started.append(begins)
        heard.append(np.nan if played is None else played)
        length = count(entry.get("length_s"), f"{place}.", "length_s")
        track.append(np.nan if length is None else length)
    if not started:
        return _History()
    order = np.argsort(np.array(started), kind="stable")
    owner = np.zeros(len(order), dtype=np.int64)
    lengths = play_lengths(
        owner=owner, played_s=np.array(heard)[order], track_s=np.array(track)[order]
    )
    found = cut(owner=owner, started=np.array(started)[order], length=lengths.seconds, gap_s=gap_s)
    columns = (found.start, found.end, found.plays, found.skips)
    history = _History(
        [Session(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    )
    if (np.diff(order) < 0).any():
        history.notes.append("plays: were out of order, and sorted")
    if unknown := int((lengths.source > 0).sum()):
        history.notes.append(f"plays: {unknown} without played_s, taken as long as is usual")
    return history


def _profile(value: Any, where: str) -> Profile:
    if value is None:
        return NOBODY
    where = f"{where}profile."
    if not isinstance(value, dict):
        raise RequestError(f"{where[:-1]}: must be an object, got {shown(value)}")
    if unknown := [name for name in value if name not in PROFILE]:
        raise RequestError(f"{where}{unknown[0]}: is not known; send {', '.join(PROFILE)}")
    gender, registered = value.get("gender"), value.get("registered_at")
    age = count(value.get("age"), where, "age")
    if age is not None and not AGES[0] <= age <= AGES[1]:
        raise RequestError(f"{where}age: must be from {AGES[0]} to {AGES[1]}, got {age:g}")
    return Profile(
        gender=None if gender is None else GENDERS[choice(gender, GENDERS, where, "gender")],
        age=age,
        registered=None if registered is None else moment(registered, where, "registered_at"),
    )


def _limits(value: Any, where: str) -> tuple[float, ...]:
    found = []
    for i, entry in enumerate(entries(value, where, "longer_than", most=MAX_LIMITS)):
        limit = count(entry, where, f"longer_than[{i}]")
        if limit is None:
            raise RequestError(f"{where}longer_than[{i}]: must be seconds, got nothing")
        found.append(limit)
    return tuple(found)

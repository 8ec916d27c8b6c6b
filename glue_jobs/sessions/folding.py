"""Sessions of whole listeners to features, by the state that the endpoint folds too."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from glue_jobs.arrow import column, group_bounds, matrix_rows
from listening.sessions.state import FEATURES as NAMES
from listening.sessions.state import SUMMARY, Profile, Session, State
from listening.splits import bucket

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SALT = "listening-sessions"
"""Decides which listeners are held out; never tuned on."""
BUCKETS = 1000

SPLITS = ("train", "validation", "test", "held_out")
_TRAIN, _VALIDATION, _TEST, _HELD_OUT = range(len(SPLITS))
TRAIN, VALIDATION = 0.6, 0.15
"""Shares of a listener's sessions, in order of time; the rest is test."""
FEATURES = (
    "user_id string, number int, start double, length double, plays int, skips int, "
    "top_artist string, elapsed array<float>, skipped array<boolean>, features array<float>, "
    "summary array<float>, split string"
)
"""Schema of features: a row a session, as it was known at its start.

``number`` counts a listener's sessions from 0; ``summary`` is `state.SUMMARY` at the moment.
"""


AS_THEY_ARE = ("plays", "skips", "top_artist", "elapsed", "skipped")


@dataclass(frozen=True)
class Splitting:
    """How sessions are divided.

    Parameters
    ----------
    held_out
        Share of listeners that are held out whole.
    log_ends, gap_s
        When the log ends, and the silence that ends a session: one that may still go on then is
        not known, and left out.
    """

    held_out: float
    log_ends: float
    gap_s: float

    def of(self, user_id: str, ends: Sequence[float]) -> list[int]:
        """Return the place in `SPLITS` of each of a listener's finished sessions.

        Parameters
        ----------
        user_id
            Whose.
        ends
            When each ends, in order.
        """
        n = sum(end + self.gap_s < self.log_ends for end in ends)
        if bucket(user_id, salt=SALT, buckets=BUCKETS) < self.held_out * BUCKETS:
            return [_HELD_OUT] * n
        first, second = round(n * TRAIN), round(n * (TRAIN + VALIDATION))
        return [_TRAIN] * first + [_VALIDATION] * (second - first) + [_TEST] * (n - second)


def fold(table: pa.Table, splitting: Splitting) -> pa.Table:
    """Return the features of the finished sessions of whole listeners, of schema `FEATURES`.

    Parameters
    ----------
    table
        Rows of `cutting.SESSIONS` with the columns of `cutting.LISTENERS`, in order of listener and
        time.
    splitting
        How they are divided.
    """
    bounds = group_bounds(column(table, "user_id")).tolist()
    columns = (column(table, name).to_pylist() for name in Session._fields)
    sessions = [Session(*row) for row in zip(*columns, strict=True)]
    accounts = {name: column(table, name) for name in ("gender", "age", "registered")}
    moments: list[_Moment] = []
    for start, stop in pairwise(bounds):
        name = column(table, "user_id")[start].as_py()
        profile = Profile(**{key: values[start].as_py() for key, values in accounts.items()})
        own = sessions[start:stop]
        splits = splitting.of(name, [session.end for session in own])
        moments += _folded(own, splits, profile, start)
    return _table(table, moments)


class _Moment(NamedTuple):
    """The start of a session: its row, its number, its split and what was known."""

    row: int
    number: int
    split: int
    features: list[float]
    summary: list[float]


def _folded(
    sessions: Sequence[Session], splits: Sequence[int], profile: Profile, first: int
) -> Iterator[_Moment]:
    """Yield the moments of one listener, whose first session is in the row `first`."""
    state = State(profile)
    for number, (session, split) in enumerate(zip(sessions, splits, strict=False)):
        yield _Moment(first + number, number, split, state.features(session.start), state.summary())
        state.fold(session)


def _table(table: pa.Table, moments: Sequence[_Moment]) -> pa.Table:
    chosen = table.take(pa.array([moment.row for moment in moments], pa.int64()))
    begin, end = (column(chosen, name).to_numpy() for name in ("start", "end"))
    return pa.table(
        {
            "user_id": column(chosen, "user_id"),
            "number": pa.array([moment.number for moment in moments], pa.int32()),
            "start": begin,
            "length": end - begin,
            **{name: column(chosen, name) for name in AS_THEY_ARE},
            "features": _matrix([moment.features for moment in moments], len(NAMES)),
            "summary": _matrix([moment.summary for moment in moments], len(SUMMARY)),
            "split": pa.array([SPLITS[moment.split] for moment in moments], pa.string()),
        }
    )


def _matrix(rows: list[list[float]], width: int) -> pa.Array:
    return matrix_rows(np.array(rows, np.float32).reshape(-1, width))

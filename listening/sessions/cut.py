"""Plays to sessions: a new one begins after so long a silence since the latest end so far."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from listening.log.plays import SKIPPED_S

GAP_S = 30 * 60.0
DEFAULT_PLAY_S = 210.0
"""Length of a play of which nothing is known, nor of any other of its listener."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SOURCES = ("play", "track", "listener", "default")
"""Where a play's length was taken from."""


@dataclass(frozen=True)
class Lengths:
    """Seconds that plays were heard for, (n,), and the place in `SOURCES` of where from, (n,)."""

    seconds: Floats
    source: Integers


def play_lengths(*, owner: Integers, played_s: Floats, track_s: Floats) -> Lengths:
    """Return how long plays were heard: as they say, as their track, as the listener's before.

    What is played later changes nothing.

    Parameters
    ----------
    owner
        Number of each play's listener, from 0 and without gaps, in order, (n,).
    played_s
        Seconds that were heard, in order of time within a listener, (n,); NaN where unknown.
    track_s
        Length of the track in seconds, (n,); NaN where unknown.
    """
    known = ~np.isnan(played_s)
    seconds = np.where(known, played_s, track_s)
    source = np.where(known, 0, 1)
    bounds = np.append(np.flatnonzero(np.diff(owner, prepend=-1)), len(owner))
    lacking = np.add.reduceat(np.isnan(seconds), bounds[:-1]) if len(owner) else bounds[:0]
    for one in np.flatnonzero(lacking):
        rows = slice(bounds[one], bounds[one + 1])
        _fill(seconds[rows], source[rows])
    return Lengths(seconds, source)


def _fill(seconds: Floats, source: Integers) -> None:
    """Give each play of one listener without a length the median of those before it."""
    before: list[float] = []
    for place, value in enumerate(seconds.tolist()):
        if not np.isnan(value):
            insort(before, value)
            continue
        half = len(before) // 2
        source[place] = 2 if before else 3
        if not before:
            seconds[place] = DEFAULT_PLAY_S
        else:
            seconds[place] = (
                before[half] if len(before) % 2 else sum(before[half - 1 : half + 1]) / 2
            )


@dataclass(frozen=True)
class Cut:
    """Sessions of whole listeners, in order of listener and time, and their plays.

    Parameters
    ----------
    first
        Place of each session's first play, and the number of plays at the end, (n_sessions + 1,).
    start, end
        Seconds since 1970, UTC, (n_sessions,).
    plays, skips
        (n_sessions,).
    elapsed
        From the session's start to its latest end so far, in seconds, after each play, (n_plays,).
    skipped
        Whether each play was skipped, (n_plays,).
    """

    first: Integers
    start: Floats
    end: Floats
    plays: Integers
    skips: Integers
    elapsed: Floats
    skipped: npt.NDArray[np.bool_]


def cut(*, owner: Integers, started: Floats, length: Floats, gap_s: float = GAP_S) -> Cut:
    """Cut plays into sessions.

    Parameters
    ----------
    owner
        Number of each play's listener, from 0 and without gaps, in order, (n,).
    started
        Seconds since 1970, UTC, in order within a listener, (n,).
    length
        Seconds that were heard, (n,).
    gap_s
        The longest silence within a session.
    """
    n = len(owner)
    ends = started + length
    # The latest end so far of each listener, by the ranks of ends: whole numbers do not round.
    order = np.argsort(ends, kind="stable")
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n)
    latest = ends[order][np.maximum.accumulate(owner * n + rank) - owner * n]
    begins = np.ones(n, dtype=bool)
    begins[1:] = (np.diff(owner) != 0) | (started[1:] - latest[:-1] > gap_s)
    first = np.flatnonzero(begins)
    session = np.cumsum(begins) - 1
    until = np.full(n, np.inf)
    until[:-1] = np.where(np.diff(session) == 0, np.diff(started), np.inf)
    skipped = np.minimum(length, until) < SKIPPED_S
    start = started[first]
    elapsed = latest - start[session]
    bounds = np.append(first, n).astype(np.int64)
    return Cut(
        first=bounds,
        start=start,
        end=start + elapsed[bounds[1:] - 1],
        plays=np.diff(bounds),
        skips=np.bincount(session, skipped, minlength=len(first)).astype(np.int64),
        elapsed=elapsed,
        skipped=skipped,
    )

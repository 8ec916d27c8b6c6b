"""What a track's score is made of: sums over the listeners of a place before a date.

Every part is a sum over listeners, so that those of some listeners and of the rest add up to those
of all. Nothing of the date itself, nor of what comes after it, is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

WINDOWS: Mapping[str, int] = {"week": 7, "month": 30}
"""Days before the date that a list is of."""
HALF_LIVES: Mapping[str, float] = {"week": 14.0, "month": 30.0}
"""Days after which a listener's last play of a track counts half."""
CAP = 5
"""Plays of a track by one listener that `capped` counts at most."""
PAST = 8
"""Windows before the window that a track's own past is the mean of."""
LEAST_WEIGHT = 1 / 64
"""A last play that has decayed to less counts nothing."""

PARTS = (
    *("plays", "listeners", "capped", "decayed", "rating", "past"),
    *("searches", "downloads"),
)
"""Names of the parts of a track: plays; listeners; plays of which a listener's count `CAP` at most;
listeners, each by how long ago they last played it; the sum over listeners of the seconds they
heard it beside those of their most heard track; listeners in a window as long, on average over the
`PAST` ones before; searches; downloads."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Heard:
    """What listeners heard and looked for, a row a listener, track and day, in that order.

    Parameters
    ----------
    owner, track
        Numbers from 0, (n,).
    day
        Days since 1970, (n,).
    plays, seconds, searches, downloads
        That day, (n,).
    """

    owner: Integers
    track: Integers
    day: Integers
    plays: Floats
    seconds: Floats
    searches: Floats
    downloads: Floats

    @classmethod
    def of(  # noqa: PLR0913 - what there is of each
        cls,
        *,
        owner: Integers,
        track: Integers,
        day: Integers,
        plays: Floats,
        seconds: Floats,
        searches: Floats,
        downloads: Floats,
    ) -> Heard:
        """Add up rows of the same listener, track and day, in any order; each (n,)."""
        order = np.lexsort((day, track, owner))
        keys = owner[order], track[order], day[order]
        begins = np.flatnonzero(np.any([np.diff(key, prepend=-1) != 0 for key in keys], axis=0))

        def added(values: Floats) -> Floats:
            ordered = np.nan_to_num(values[order])
            return np.add.reduceat(ordered, begins) if len(begins) else ordered

        return cls(
            owner=keys[0][begins],
            track=keys[1][begins],
            day=keys[2][begins],
            plays=added(plays),
            seconds=added(seconds),
            searches=added(searches),
            downloads=added(downloads),
        )

    @cached_property
    def pair(self) -> Integers:
        """Number of each row's listener and track, (n,)."""
        changes = (np.diff(self.owner, prepend=-1) != 0) | (np.diff(self.track, prepend=-1) != 0)
        return np.cumsum(changes) - 1

    @cached_property
    def firsts(self) -> Integers:
        """The first row of each pair, (n_pairs,)."""
        return np.flatnonzero(np.diff(self.pair, prepend=-1))


def parts_before(
    heard: Heard, date: int, *, window: int, half_life: float
) -> tuple[Integers, Floats]:
    """Return the pairs that anything is known of before a date, and what each adds to its track.

    Parameters
    ----------
    heard
        What listeners heard.
    date
        Days since 1970; that day and what comes after is not looked at.
    window, half_life
        Days.

    Returns
    -------
    pairs, parts
        Numbers of pairs, (m,); as `PARTS` names them, (m, 8).
    """
    n = len(heard.firsts)
    begins = date - window
    before = heard.day < date
    inside = before & (heard.day >= begins)
    plays, seconds, searches, downloads = (
        np.bincount(heard.pair, np.where(inside, values, 0), n)
        for values in (heard.plays, heard.seconds, heard.searches, heard.downloads)
    )
    is_play = before & (heard.plays > 0)
    last = np.full(n, -1)
    np.maximum.at(last, heard.pair[is_play], heard.day[is_play])
    decayed = np.where(last >= 0, 0.5 ** ((date - last) / half_life), 0.0)
    decayed[decayed < LEAST_WEIGHT] = 0.0
    owner = heard.owner[heard.firsts]
    longest = np.zeros(int(owner.max()) + 1 if n else 0)
    np.maximum.at(longest, owner, seconds)
    most = longest[owner]
    rating = np.divide(seconds, most, out=np.zeros(n), where=most > 0)
    found = np.column_stack(
        [
            *(plays, plays > 0, np.minimum(plays, CAP), decayed, rating),
            *(_past(heard, begins, window, n), searches, downloads),
        ]
    )
    known = np.flatnonzero(found.any(axis=1))
    return known, found[known]


def _past(heard: Heard, begins: int, window: int, n: int) -> Floats:
    """Return in which share of the windows before the window each pair was played, (n_pairs,)."""
    place = (begins - 1 - heard.day) // window
    inside = (place >= 0) & (place < PAST) & (heard.plays > 0)
    met = np.unique(heard.pair[inside] * PAST + place[inside]) // PAST
    return np.bincount(met, minlength=n) / PAST

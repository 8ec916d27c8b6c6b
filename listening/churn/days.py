"""What listeners do to what they did by day.

Days are counted from 1970-01-01, in UTC.

>>> import numpy as np
>>> done = Done(
...     owner=np.array([0, 0, 0]),
...     at=np.array([0, 3600, 90_000]) * 1_000_000,
...     kind=np.array([KINDS.index("plays"), KINDS.index("plays"), KINDS.index("searches")]),
...     played_s=np.array([200.0, 10.0, np.nan]),
...     length_s=np.array([210.0, 210.0, np.nan]),
...     artist=np.array([7, 7, -1]),
...     device=np.array([0, 0, -1]),
... )
>>> found = days_of(done, np.array([np.nan]))
>>> found.day.tolist(), found.counts[0].tolist()
([0, 1], [2.0, 0.0, 0.0, 210.0, 1.0, 1.0, 1.0])
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from listening.log.plays import DAY_US, SKIPPED_S
from listening.log.tables import DOWNLOAD, SEARCH

KINDS = ("plays", "searches", "downloads")
"""What a listener does; each is counted."""
EVENTS = {SEARCH: "searches", DOWNLOAD: "downloads"}
"""Kinds by what the table of events calls them."""
COUNTS = (*KINDS, "seconds", "full", "skips", "artists")
"""What a day counts: beside the kinds the seconds heard, the plays heard in full, those skipped,
and how many artists were played."""
FULL_SHARE = 0.8
"""A play of so much of its track is a full one."""

DAY_BITS = 20
"""Bits of a day in a key of a listener and a day; enough for 2,800 years."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Done:
    """What listeners did, one entry each, in order of listener and time.

    Parameters
    ----------
    owner
        Number of the listener, from 0, (n,).
    at
        Microseconds since 1970, (n,).
    kind
        Place in `KINDS`, (n,).
    played_s, length_s
        Seconds that were heard, and of the track, (n,); NaN where unknown.
    artist
        A number for the artist, (n,); -1 where unknown.
    device
        A number for the device, (n,); -1 where unknown.
    """

    owner: Integers
    at: Integers
    kind: Integers
    played_s: Floats
    length_s: Floats
    artist: Integers
    device: Integers


@dataclass(frozen=True)
class Activity:
    """What listeners did by day, in order of listener and day; days without anything are left out.

    Parameters
    ----------
    first
        Place of each listener's first day, and the number of days at the end, (n_listeners + 1,).
    day
        Days since 1970, (n,).
    counts
        As `COUNTS` names them, (n, 7).
    device
        A number for the device used last, (n,); -1 where unknown.
    came
        Day on which each account was made, (n_listeners,); NaN where unknown.
    """

    first: Integers
    day: Integers
    counts: Floats
    device: Integers
    came: Floats

    @property
    def owner(self) -> Integers:
        """Number of each day's listener, (n,)."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))


def days_of(done: Done, came: Floats) -> Activity:
    """Count what listeners did by day.

    Parameters
    ----------
    done
        What they did.
    came
        As `Activity` has it, one entry a listener.
    """
    key = (done.owner << DAY_BITS) | (done.at // DAY_US)
    begins = np.flatnonzero(np.diff(key, prepend=-1))
    row = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(key)))
    n, is_play = len(begins), done.kind == KINDS.index("plays")
    heard = np.where(is_play, done.played_s, np.nan)
    with np.errstate(invalid="ignore"):
        full = (heard >= FULL_SHARE * done.length_s) & (done.length_s > 0)
        skipped = heard < SKIPPED_S
    counted = {
        **{kind: np.bincount(row, done.kind == place, n) for place, kind in enumerate(KINDS)},
        "seconds": np.bincount(row, np.nan_to_num(heard), n),
        "full": np.bincount(row, full, n),
        "skips": np.bincount(row, skipped, n),
        "artists": _distinct(row[is_play], done.artist[is_play], n),
    }
    used = np.maximum.accumulate(np.where(done.device >= 0, np.arange(len(key)), -1))
    last = used[np.append(begins[1:], len(key)) - 1] if n else begins
    is_known = last >= begins
    owner = key[begins] >> DAY_BITS
    first = np.searchsorted(owner, np.arange(len(came) + 1))
    return Activity(
        first=first.astype(np.int64),
        day=key[begins] & ((1 << DAY_BITS) - 1),
        counts=np.column_stack([counted[name] for name in COUNTS]).astype(np.float64),
        device=np.where(is_known, done.device[np.maximum(last, 0)], -1) if n else begins,
        came=came,
    )


def _distinct(row: Integers, value: Integers, n: int) -> Integers:
    """Return how many values each row has, (n,); those below 0 are none."""
    row, value = row[value >= 0], value[value >= 0]
    width = int(value.max()) + 1 if len(value) else 1
    pair = np.sort(row * width + value)
    return np.bincount(pair[np.diff(pair, prepend=-1) != 0] // width, minlength=n)

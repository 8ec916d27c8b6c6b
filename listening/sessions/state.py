"""What is known of a listener before a moment: one small state, folded over their sessions.

The job that makes features and the endpoint fold the same function. A session costs the same
however many came before it, and nothing of a session is known before it has ended.

>>> state = State()
>>> state.fold(Session(start=0.0, end=1800.0, plays=9, skips=1))
>>> features = state.features(7200.0)
>>> features[FEATURES.index("sessions")], round(features[FEATURES.index("gap")], 3)
(1.0, 8.594)
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import TYPE_CHECKING, NamedTuple

from listening.sessions import habits
from listening.sessions.habits import DAY, HOUR, PRIOR_WEIGHT, Habits

if TYPE_CHECKING:
    from collections.abc import Sequence

NAN = math.nan

SHORTEST, LONGEST = 1.0, 2 * DAY  # seconds: lengths are counted between these
BINS = 64
_FLOOR = math.log1p(SHORTEST)
_BINS_PER_LOG = BINS / (math.log1p(LONGEST) - _FLOOR)

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_MEDIAN = QUANTILES.index(0.5)
MEMORIES = (0.5, 0.2, 0.07, 0.02)
"""What a new session weighs in each decayed mean."""
RECENT = 0.1
"""What a new session weighs in the means of gaps and plays."""
FORGETS = 0.97
"""What a session keeps of its weight with each further one, in what tells recent habits."""
MOST_WEIGHT = 1e12
GAPS = (2 * HOUR, 8 * HOUR, 20 * HOUR, 3 * DAY)
"""Bounds of the classes of time since the session before."""
LOADS = (6 * HOUR, DAY, 7 * DAY)
"""Time in which a session's weight in the load falls to 1/e."""
_HOURS = tuple(f"{load / HOUR:.0f}h" for load in LOADS)


class Session(NamedTuple):
    """A session that has ended.

    Parameters
    ----------
    start, end
        Seconds since 1970, UTC.
    plays, skips
        How many, and how many of them were skipped; no plays where that is not known.
    """

    start: float
    end: float
    plays: int
    skips: int


@dataclass(frozen=True)
class Profile:
    """What an account says; each None where it does not.

    Parameters
    ----------
    gender
        1 for women, 0 for men.
    age
        Years.
    registered
        Seconds since 1970, UTC.
    """

    gender: float | None = None
    age: float | None = None
    registered: float | None = None


NOBODY = Profile()
GENDERS = {
    **dict.fromkeys(("f", "female", "w", "woman"), 1.0),
    **dict.fromkeys(("m", "male", "man"), 0.0),
}
"""What accounts say of gender, in small letters; anything else says nothing."""
AGES = (5, 110)
"""Years between which an age is taken for one."""

_LENGTHS = (
    *("last_1", "last_2", "last_3"),
    *(f"decayed_{memory}" for memory in MEMORIES),
    *("mean", "deviation", "mean_of_seconds"),
    *(f"quantile_{quantile}" for quantile in QUANTILES),
    *(f"recent_{quantile}" for quantile in QUANTILES),
    "over_half_an_hour",
)
_GAPS = ("gap", "usual_gap", "mean_after_such_gaps")
_LOADS = (*(f"load_{hours}" for hours in _HOURS), *(f"count_{hours}" for hours in _HOURS))
_PLAYS = ("last_plays", "plays", "last_skipped", "skipped", "last_seconds_a_play", "seconds_a_play")
_ACCOUNT = ("gender", "age", "days_registered")
FEATURES = (
    "sessions",
    *_LENGTHS,
    *_GAPS,
    *habits.NAMES,
    *_LOADS,
    *_PLAYS,
    "days_of_log",
    *_ACCOUNT,
)
"""Names of the features of a moment; lengths and gaps are log(1 + seconds)."""

SUMMARY = ("sessions", "mean", "median", "longest", "plays", "age", "gender")
"""Names of what tells kinds of listeners apart: logarithms, years, 1 for women."""


class State:
    """A listener's state.

    Parameters
    ----------
    profile
        What their account says.
    """

    __slots__ = (
        *("profile", "n", "first", "end", "last", "weight"),
        *("decayed", "total", "squares", "seconds", "longest", "long"),
        *("histogram", "recent", "shortest", "bins", "median"),
        *("gaps", "gap_sums", "gap_counts", "habits", "loads", "counts"),
        *("last_plays", "last_skipped", "last_a_play", "plays", "skipped", "a_play"),
    )

    def __init__(self, profile: Profile = NOBODY) -> None:
        self.profile = profile
        self.n = self.long = 0
        self.first = self.end = 0.0
        self.last = (NAN, NAN, NAN)
        self.weight = 1.0
        self.decayed = [0.0] * len(MEMORIES)
        self.total = self.squares = self.seconds = self.longest = 0.0
        self.histogram, self.recent = [0.0] * BINS, [0.0] * BINS
        self.shortest, self.bins = BINS, slice(0, 0)  # of what both histograms have
        self.median: float | None = None  # of the histogram, once it was asked for
        self.gaps = NAN
        self.gap_sums, self.gap_counts = [0.0] * (len(GAPS) + 1), [0.0] * (len(GAPS) + 1)
        self.habits = Habits()
        self.loads, self.counts = [0.0] * len(LOADS), [0.0] * len(LOADS)
        self.last_plays = self.last_skipped = self.last_a_play = NAN
        self.plays = self.skipped = self.a_play = NAN

    def fold(self, session: Session) -> None:
        """Take a session into account; sessions come in order of time."""
        start, end, plays, skips = session
        log = math.log1p(end - start)
        self.n += 1
        if self.n == 1:
            self.first = start
        else:
            self._fold_gap(start - self.end, log)
        self.weight /= FORGETS
        if self.weight > MOST_WEIGHT:
            self.recent = [value / self.weight for value in self.recent]
            self.habits.divide(self.weight)
            self.weight = 1.0
        self.habits.fold(start, end, log, self.weight)
        self._fold_length(end - start, log)
        self._fold_plays(plays, skips, end - start)
        faded = self._faded(end)
        self.loads = [old * fade + end - start for old, fade in zip(self.loads, faded, strict=True)]
        self.counts = [old * fade + 1.0 for old, fade in zip(self.counts, faded, strict=True)]
        self.end = end

    def _fold_gap(self, gap: float, log: float) -> None:
        place = bisect_left(GAPS, gap)
        self.gap_sums[place] += log
        self.gap_counts[place] += 1.0
        log_gap = math.log1p(max(gap, 0.0))
        self.gaps = log_gap if self.n == 2 else self.gaps + self._share * (log_gap - self.gaps)

    def _fold_length(self, length: float, log: float) -> None:
        one = 1.0 / self.n
        self.decayed = [
            old + (memory if memory > one else one) * (log - old)
            for old, memory in zip(self.decayed, MEMORIES, strict=True)
        ]
        self.last = (log, self.last[0], self.last[1])
        self.total += log
        self.squares += log * log
        self.seconds += length
        self.longest = max(self.longest, log)
        self.long += length > HOUR / 2
        place = min(max(int((log - _FLOOR) * _BINS_PER_LOG), 0), BINS - 1)
        self.histogram[place] += 1.0
        if not self.shortest <= place < self.bins.stop:
            self.shortest = min(self.shortest, place)
            self.bins = slice(self.shortest, max(self.bins.stop, place + 1))
        self.median = None
        self.recent[place] += self.weight

    def _fold_plays(self, plays: int, skips: int, length: float) -> None:
        if not plays:
            self.last_plays = self.last_skipped = self.last_a_play = NAN
            return
        self.last_plays = math.log1p(plays)
        self.last_skipped = skips / plays
        self.last_a_play = length / plays
        if math.isnan(self.plays):
            self.plays, self.skipped = self.last_plays, self.last_skipped
            self.a_play = self.last_a_play
            return
        share = self._share
        self.plays += share * (self.last_plays - self.plays)
        self.skipped += share * (self.last_skipped - self.skipped)
        self.a_play += share * (self.last_a_play - self.a_play)

    def features(self, now: float) -> list[float]:
        """Return the features of a moment at which a session may begin, as `FEATURES` names them.

        Parameters
        ----------
        now
            Seconds since 1970, UTC; not before the end of the last session.
        """
        n = self.n
        if n == 0:
            unknown = [NAN] * (len(_LENGTHS) + len(_GAPS))
            later = [NAN] * (len(_LOADS) + len(_PLAYS) + 1)
            return [0.0, *unknown, *habits.of_nobody(now), *later, *self._account(now)]
        mean = self.total / n
        variance = self.squares / n - mean * mean
        gap = now - self.end
        place = bisect_left(GAPS, gap)
        # Weights are a geometric series that ends with the last one.
        whole = self.weight * (1 - FORGETS**n) / (1 - FORGETS)
        faded = self._faded(now)
        quantiles = self._quantiles(self.histogram, QUANTILES)
        self.median = quantiles[_MEDIAN]
        return [
            float(n),
            *self.last,
            *self.decayed,
            mean,
            math.sqrt(variance) if variance > 0 else 0.0,
            math.log1p(self.seconds / n),
            *quantiles,
            *self._quantiles(self.recent, QUANTILES),
            (self.long + PRIOR_WEIGHT / 2) / (n + PRIOR_WEIGHT),
            math.log1p(max(gap, 0.0)),
            self.gaps,
            (self.gap_sums[place] + PRIOR_WEIGHT * mean) / (self.gap_counts[place] + PRIOR_WEIGHT),
            *self.habits.features(now, mean=mean, n=n, weight=self.weight, whole=whole),
            *map(mul, self.loads, faded),
            *map(mul, self.counts, faded),
            self.last_plays,
            self.plays,
            self.last_skipped,
            self.skipped,
            self.last_a_play,
            self.a_play,
            (now - self.first) / DAY,
            *self._account(now),
        ]

    def summary(self) -> list[float]:
        """Return what kind of listener this is, as `SUMMARY` names it; NaN where unknown."""
        profile = self.profile
        about = [NAN if value is None else value for value in (profile.age, profile.gender)]
        if self.n == 0:
            return [NAN] * (len(SUMMARY) - len(about)) + about
        if self.median is None:
            (self.median,) = self._quantiles(self.histogram, (0.5,))
        mean = self.total / self.n
        return [math.log(self.n), mean, self.median, self.longest, self.plays, *about]

    @property
    def _share(self) -> float:
        return max(RECENT, 1.0 / self.n)

    def _account(self, now: float) -> list[float]:
        profile = self.profile
        return [
            NAN if profile.gender is None else profile.gender,
            NAN if profile.age is None else profile.age,
            NAN if profile.registered is None else (now - profile.registered) / DAY,
        ]

    def _faded(self, now: float) -> list[float]:
        since = now - self.end
        return [math.exp(-since / load) for load in LOADS] if since > 0 else [1.0] * len(LOADS)

    def _quantiles(self, histogram: list[float], quantiles: Sequence[float]) -> list[float]:
        """Return quantiles of counted logarithms of lengths."""
        counts = histogram[self.bins]
        below = list(accumulate(counts))
        total, first = below[-1], self.shortest + 1.0
        found = []
        for quantile in quantiles:
            goal = quantile * total
            place = bisect_left(below, goal)
            within = first + place - (below[place] - goal) / counts[place]
            found.append(_FLOOR + within / _BINS_PER_LOG)
        return found

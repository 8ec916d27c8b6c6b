"""What is known of listeners at the beginning of a day: the job and the endpoint call the same.

Everything of a window is a difference of two running sums, found by a search among the listener's
days: a date costs the same however long the log is, and a day from the date on changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from listening.churn.days import COUNTS, DAY_BITS, KINDS

if TYPE_CHECKING:
    from listening.churn.days import Activity, Floats, Integers

Flags = npt.NDArray[np.bool_]

WINDOWS = (1, 3, 7, 14, 30)
"""Days over which the followed recipe counts."""
ACTIVE = (7, 14, 30, 60, 90)
"""Days over which the days with something are counted."""
LOOK_BACK = 90
"""Days after which it is not known when something was last done: recency is then one more."""
POPULATION = 30
"""Days within which a listener has done something, who is asked about."""
HORIZONS = (3, 7, 14)
"""Days that a listener may be gone for."""

_IN_WINDOWS = (*KINDS, "seconds", "full")
_SILENCES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 21, 25, 30, 35, 45)
"""Lengths of gaps, in days, that are counted, others as the next longer one: a gap is the days from
one active day to the next."""
_PRIOR_GAPS = 2.0
"""How many gaps a share of gaps is shrunk by, towards none."""

FEATURES = (
    *(f"{count}_{days}" for count in _IN_WINDOWS for days in WINDOWS),
    *("skips_30", "artists_30", "full_share", "skipped_share"),
    "recency",
    *(f"recency_{kind}" for kind in KINDS),
    *(f"active_{days}" for days in ACTIVE),
    *("mean_gap", "longest_gap", "deviation_of_gaps", "recency_to_gap"),
    *(f"gaps_of_{days}" for days in HORIZONS),
    *("silence_share", *(f"stays_silent_{days}" for days in HORIZONS)),
    *("trend", "life_rate", "age"),
)
"""Names of the features, in their order.

``<count>_<days>`` is a sum over so many days before the date; ``recency`` the days since the last
one with something, 1 for yesterday, `LOOK_BACK` + 1 without; ``active_<days>`` days with something;
gaps are those between active days of the whole life, in days; ``gaps_of_<days>`` the share of them
of at least so many; ``silence_share`` the share at least as long as the silence now, and
``stays_silent_<days>`` of these the share that was so many days longer; ``trend`` the logarithm of
active days in 30 days beside the 60 before; ``life_rate`` the share of active days of the whole
life; ``age`` days since the account was made or first used, at most `LOOK_BACK` + 1: a log that
begins somewhere cannot tell older from old.
"""


class Snapshots:
    """Whole listeners' days, ready to be looked at from any date.

    Parameters
    ----------
    activity
        What they did by day.
    """

    def __init__(self, activity: Activity) -> None:
        self._first, self._came = activity.first, activity.came
        owner, day = activity.owner, activity.day
        self._keys = (owner << DAY_BITS) | day
        self._sums = _running(activity.counts)
        is_first = np.diff(owner, prepend=-1) != 0
        gap = np.where(is_first, 0, np.diff(day, prepend=0)).astype(np.float64)
        self._gaps = _running(np.column_stack([gap, gap**2]))
        self._silences = _running(gap[:, None] >= np.array(_SILENCES))
        apart = owner * float(1 << DAY_BITS)
        happened = activity.counts[:, : len(KINDS)] > 0
        place = np.arange(len(day))
        # One more row at the end, for the place before the first one.
        self._day = np.append(day, 0)
        self._device = np.append(activity.device, -1)
        self._longest = np.append(np.maximum.accumulate(gap + apart) - apart, 0.0)
        self._last = np.append(_latest(place[:, None], happened), [[-1] * len(KINDS)], axis=0)
        self._used = np.append(_latest(place, activity.device >= 0), -1)

    def population(self, date: int) -> Integers:
        """Return the listeners with something in the `POPULATION` days before the date, (m,)."""
        everyone = np.arange(len(self._first) - 1)
        return everyone[self._before(everyone, date) > self._before(everyone, date - POPULATION)]

    def gone(self, owner: Integers, date: int, days: int) -> Flags:
        """Return who does nothing in so many days from the date on, (m,)."""
        return np.asarray(self._before(owner, date) == self._before(owner, date + days))

    def last_day(self, owner: Integers) -> Integers:
        """Return the last day of each listener in the log, (m,); 0 without any."""
        ends = self._first[owner + 1]
        return np.asarray(np.where(ends > self._first[owner], self._day[ends - 1], 0))

    def device(self, owner: Integers, date: int) -> Integers:
        """Return the device that each used last before the date, (m,); -1 where unknown."""
        row = self._used[self._before(owner, date) - 1]
        return np.asarray(np.where(row >= self._first[owner], self._device[row], -1))

    def features(self, owner: Integers, date: int) -> npt.NDArray[np.float32]:
        """Return `FEATURES` of listeners at the beginning of a date, (m, n_features).

        Parameters
        ----------
        owner
            Listeners, (m,).
        date
            Days since 1970; that day and what comes after is not looked at.
        """
        here, begins = self._before(owner, date), self._first[owner]
        since = {days: self._before(owner, date - days) for days in {*WINDOWS, *ACTIVE}}
        found: dict[str, npt.NDArray[Any]] = {}
        for days in WINDOWS:
            counted = self._sums[here] - self._sums[since[days]]
            found |= {f"{count}_{days}": counted[:, i] for i, count in enumerate(COUNTS)}
        plays = np.maximum(found["plays_30"], 1)
        found["full_share"] = found["full_30"] / plays
        found["skipped_share"] = found["skips_30"] / plays
        recency = self._days_since(here - 1, begins, date)
        last = self._last[here - 1]
        found["recency"] = recency
        for i, kind in enumerate(KINDS):
            found[f"recency_{kind}"] = self._days_since(last[:, i], begins, date)
        found |= {f"active_{days}": here - since[days] for days in ACTIVE}
        seen = np.where(here > begins, self._day[np.minimum(begins, len(self._day) - 1)], date)
        age = date - np.fmin(self._came[owner], seen)
        found |= self._life(here, begins, recency, age)
        before = found["active_90"] - found["active_30"]
        found["trend"] = np.log((found["active_30"] + 1) / (before / 2 + 1))
        columns = np.concatenate([found[name] for name in FEATURES])
        return np.ascontiguousarray(columns.reshape(len(FEATURES), -1).T, dtype=np.float32)

    def _life(
        self, here: Integers, begins: Integers, recency: Floats, age: Floats
    ) -> dict[str, Floats]:
        """Return what gaps and active days of the whole life say."""
        days = (here - begins).astype(np.float64)
        gaps = np.maximum(days - 1, 0)
        some = np.maximum(gaps, 1)
        total, squares = (self._gaps[here] - self._gaps[begins]).T
        mean = np.where(gaps > 0, total / some, LOOK_BACK + 1)
        deviation = np.sqrt(np.maximum(squares / some - (total / some) ** 2, 0))
        counted = np.zeros((len(here), len(_SILENCES) + 1))
        counted[:, :-1] = self._silences[here] - self._silences[begins]
        ahead = np.array(HORIZONS)
        lengths = np.empty((len(here), 1 + 2 * len(ahead)))
        lengths[:, :1] = recency[:, None]
        lengths[:, 1 : 1 + len(ahead)] = recency[:, None] + ahead
        lengths[:, 1 + len(ahead) :] = ahead
        # How many gaps were at least so long.
        silent, *longer = np.take_along_axis(counted, np.searchsorted(_SILENCES, lengths), axis=1).T
        further, usual = longer[: len(ahead)], longer[len(ahead) :]
        return {
            "mean_gap": mean,
            "longest_gap": np.where(gaps > 0, self._longest[here - 1], LOOK_BACK + 1),
            "deviation_of_gaps": np.where(gaps > 0, deviation, 0),
            "recency_to_gap": np.log(recency / mean),
            **{
                f"gaps_of_{h}": n / (gaps + _PRIOR_GAPS)
                for h, n in zip(HORIZONS, usual, strict=True)
            },
            "silence_share": silent / (gaps + _PRIOR_GAPS),
            **{
                f"stays_silent_{h}": n / (silent + _PRIOR_GAPS)
                for h, n in zip(HORIZONS, further, strict=True)
            },
            "life_rate": days / np.maximum(age, 1),
            "age": np.minimum(age, LOOK_BACK + 1),
        }

    def _before(self, owner: Integers, date: int) -> Integers:
        """Return the place after each listener's last day before the date, (m,)."""
        return np.searchsorted(self._keys, (owner << DAY_BITS) + date)

    def _days_since(self, row: Integers, begins: Integers, date: int) -> Floats:
        """Return the days from a row of each listener until the date; one too many without one."""
        days = date - self._day[row]
        return np.where((row >= begins) & (days <= LOOK_BACK), days, LOOK_BACK + 1.0)


def _latest(place: Integers, holds: Flags) -> Integers:
    """Return the place of the latest row so far for which it holds, of the shape of `holds`."""
    return np.asarray(np.maximum.accumulate(np.where(holds, place, -1), axis=0))


def _running(values: npt.NDArray[Any]) -> Floats:
    """Return the sums of the rows before each, (n + 1, width)."""
    total = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=total[1:])
    return total

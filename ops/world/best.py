"""The best forecasts of the invented listeners: by who knows the laws and sees the log alone.

The laws say how listeners differ, not how each is: a listener's rate, trend and length are known
only by what they did before, as a distribution (Bayes' rule). What comes after is never looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from ops.world.habits import (
    DAY_S,
    LEAST_S,
    LENGTHS,
    MOST_S,
    RATES,
    RHO,
    SIGMA,
    TRENDS,
    Listeners,
)

if TYPE_CHECKING:
    from ops.world.habits import Sessions
    from ops.world.tastes import Floats, Integers

LOOK_BACK = 30
HORIZONS = (14, 7, 3)


@dataclass(frozen=True)
class Forecast:
    """The logarithm of each session's length as it is known before it, normal, each (n,)."""

    mean: Floats
    sd: Floats

    def quantile(self, quantile: float) -> Floats:
        """Return a quantile of the lengths in seconds, (n,)."""
        log = self.mean + self.sd * NormalDist().inv_cdf(quantile)
        return np.asarray(np.exp(log).clip(LEAST_S, MOST_S))


def forecast_lengths(sessions: Sessions) -> Forecast:
    """Forecast the length of each session from the listener's sessions before it.

    Parameters
    ----------
    sessions
        Of whole listeners, in order of time.
    """
    first = np.diff(sessions.listener, prepend=-1) != 0
    log = np.log(sessions.length)
    before = np.concatenate([[0.0], log[:-1]])
    own = np.where(first, 1.0, 1 - RHO)  # what the listener's mean weighs in a length
    carried = np.where(first, 0.0, RHO * before) + sessions.effect
    precision, told = (own / SIGMA) ** 2, own * (log - carried) / SIGMA**2
    mean, sd = LENGTHS
    known = sd**-2 + _sum_before(precision, first)
    centre = (mean * sd**-2 + _sum_before(told, first)) / known
    return Forecast(own * centre + carried, np.sqrt(SIGMA**2 + own**2 / known))


def _sum_before(values: Floats, first: Any) -> Floats:
    """Return the sum of each listener's values before each, (n,)."""
    total = np.cumsum(values) - values
    starts = np.flatnonzero(first)
    return np.asarray(total - np.repeat(total[starts], np.diff(starts, append=len(values))))


@dataclass(frozen=True)
class _Kinds:
    """Kinds of listeners and what the laws say of each, on every day and at every date.

    Parameters
    ----------
    prior
        Logarithm of how frequent each is, (n_kinds,).
    rate, trend
        (n_kinds,).
    expected
        Sessions expected before each day, (days + 1, n_kinds).
    stayed
        Logarithm of having stayed until each day, (days + 1, n_kinds).
    """

    prior: Floats
    rate: Floats
    trend: Floats
    rates: Floats
    hazards: Floats
    expected: Floats
    stayed: Floats

    @classmethod
    @cache
    def of(cls, mean_rate: float, days: int) -> _Kinds:
        z, u = np.meshgrid(np.linspace(-4, 4, 65), np.linspace(-3.5, 3.5, 11), indexing="ij")
        rate = mean_rate * np.exp(RATES[0] + RATES[1] * z.ravel())
        trend = TRENDS[0] + TRENDS[1] * u.ravel()
        laws = Listeners(rate, trend, rate, rate, np.full(len(rate), -1))
        rates = laws.rates(days).T
        hazards = laws.hazards(rates.T).T
        none = np.zeros((1, len(rate)))
        return cls(
            prior=-0.5 * (z.ravel() ** 2 + u.ravel() ** 2),
            rate=rate,
            trend=trend,
            rates=rates,
            hazards=hazards,
            expected=np.concatenate([none, np.cumsum(rates, axis=0)]),
            stayed=np.concatenate([none, np.cumsum(np.log1p(-hazards), axis=0)]),
        )

    def silence(self, last: int, date: int) -> tuple[Floats, Floats]:
        """Return the probability of silence since the day `last`, and of it and being there still.

        Both until the beginning of `date`, each (n_kinds,).
        """
        there, gone = 1 - self.hazards[last], self.hazards[last]
        for day in range(last + 1, date):
            there = there * np.exp(-self.rates[day])
            gone = gone + there * self.hazards[day]
            there = there * (1 - self.hazards[day])
        return there + gone, there

    def quiet(self, date: int) -> dict[int, Floats]:
        """Return the probability of no session in the days from a date on, of who is there then."""
        there, gone, found = np.ones(len(self.rate)), np.zeros(len(self.rate)), {}
        for day in range(date, date + max(HORIZONS)):
            there = there * np.exp(-self.rates[day])
            if day - date + 1 in HORIZONS:
                found[day - date + 1] = there + gone
            gone = gone + there * self.hazards[day]
            there = there * (1 - self.hazards[day])
        return found


def forecast_leaving(
    sessions: Sessions, arrived: Integers, *, mean_rate: float, days: int, dates: Integers
) -> dict[str, Any]:
    """Forecast who has no session in the days after each date, from what happened before it.

    Parameters
    ----------
    sessions
        Of some listeners.
    arrived
        Day on which each came, which their account tells, (n_listeners,).
    mean_rate
        Of all listeners, sessions on a mean day at the log's beginning.
    days
        Length of the log.
    dates
        Days; what happened before the day's beginning is known.

    Returns
    -------
    dict
        ``listener``, ``day``, and ``p<horizon>`` of `HORIZONS`, for listeners with a session in the
        `LOOK_BACK` days before the date.
    """
    kinds = _Kinds.of(mean_rate, days)
    day = (sessions.start // DAY_S).astype(np.int64)
    came = np.maximum(arrived, 0)
    found: dict[str, list[Any]] = {"listener": [], "day": []}
    found |= {f"p{horizon}": [] for horizon in HORIZONS}
    for date in dates.tolist():
        known = day < date
        listener, when = sessions.listener[known], day[known]
        last = np.full(len(arrived), -1)
        np.maximum.at(last, listener, when)
        count = np.bincount(listener, minlength=len(arrived))
        moment = np.bincount(listener, when / 100, minlength=len(arrived))
        who = np.flatnonzero(last >= date - LOOK_BACK)
        quiet = kinds.quiet(date)
        for one in np.unique(last[who]):
            rows = who[last[who] == one]
            silent, there = kinds.silence(int(one), date)
            weight = (
                kinds.prior
                + count[rows, None] * np.log(kinds.rate)
                + moment[rows, None] * kinds.trend
                - (kinds.expected[one + 1] - kinds.expected[came[rows]])
                + (kinds.stayed[one] - kinds.stayed[np.minimum(came[rows], one)])
                + np.log(silent)
            )
            weight = np.exp(weight - weight.max(axis=1, keepdims=True))
            weight /= weight.sum(axis=1, keepdims=True)
            found["listener"].append(rows)
            found["day"].append(np.full(len(rows), date))
            for horizon in HORIZONS:
                p = (silent - there + there * quiet[horizon]) / silent
                found[f"p{horizon}"].append(weight @ p)
    return {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in found.items()}

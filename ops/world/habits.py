r"""How the invented listeners listen: when, how long, and when they stop coming.

Of a listener :math:`i` on day :math:`d` of the log, while they stay:

- sessions are Poisson with rate :math:`\lambda_{id} = r_i \exp(g_i d / 100) w_{d}`, where
  :math:`w` is 0.8 on workdays and 1.5 on weekends;
- they leave for good at the day's end with probability
  :math:`h_{id} = \sigma(a - b \log\lambda_{id} - c\, g_i)`;
- the length of session :math:`k` is log-normal:
  :math:`\log L_k = \mu_i + \rho (\log L_{k-1} - \mu_i) + \beta(\mathrm{hour}) + \sigma \epsilon`,
  cut to 30 s and 6 h, where :math:`\beta` is 0.25 in the evening and -0.2 in the morning.

What is drawn here is what comes out: the gap between two sessions is over 30 minutes, within one it
is less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ops.world.tastes import Floats, Integers

DAY_S = 86_400.0
GAP_S = 30 * 60.0
REST_S = 31 * 60.0
"""The least time between two sessions."""
LEAST_S, MOST_S = 30.0, 6 * 3600.0
RHO, SIGMA = 0.25, 0.75
WEEKDAYS = np.array([0.8, 0.8, 0.8, 0.8, 0.8, 1.5, 1.5])
LEAVING = (-6.2, 0.9, 0.8)
"""a, b and c of the hazard."""
LENGTHS = (7.65, 0.45)
"""Mean and standard deviation, over listeners, of the mean logarithm of lengths: 2,100 s."""
RATES = (-0.405, 0.9)
"""The same of the logarithm of the rate beside the mean rate: lognormal of mean 1."""
TRENDS = (-0.1, 0.5)
"""The same of the change of the rate's logarithm in 100 days."""


@dataclass(frozen=True)
class Listeners:
    """The laws of some listeners, each (n,).

    Parameters
    ----------
    rate
        Sessions on a mean day at the log's beginning.
    trend
        Change of the rate's logarithm in 100 days.
    length
        Mean of the logarithm of sessions' lengths in seconds.
    hour
        Around which they listen.
    arrived
        Day of the log on which they came; below 0 before it began.
    """

    rate: Floats
    trend: Floats
    length: Floats
    hour: Floats
    arrived: Integers

    @classmethod
    def draw(cls, n: int, *, days: int, mean_rate: float, rng: np.random.Generator) -> Listeners:
        """Draw the laws of so many listeners."""
        early = -rng.exponential(700, n).astype(np.int64) - 1
        late = rng.integers(0, max(days - 1, 1), n)
        return cls(
            rate=mean_rate * rng.lognormal(*RATES, n),
            trend=rng.normal(*TRENDS, n),
            length=rng.normal(*LENGTHS, n),
            hour=rng.normal(18.5, 3.0, n),
            arrived=np.where(rng.random(n) < 0.2, late, early),
        )

    def rates(self, days: int) -> Floats:
        """Return the rate of sessions on each day, (n, days); 0 before they came."""
        day = np.arange(days)
        rates = self.rate[:, None] * np.exp(self.trend[:, None] * day / 100) * WEEKDAYS[day % 7]
        return np.where(day >= self.arrived[:, None], rates.clip(1e-3, 20), 0)

    def hazards(self, rates: Floats) -> Floats:
        """Return the probability of leaving at the end of each day, (n, days)."""
        a, b, c = LEAVING
        level = np.log(np.maximum(rates, 1e-3))
        return np.where(rates > 0, 1 / (1 + np.exp(-(a - b * level - c * self.trend[:, None]))), 0)


@dataclass(frozen=True)
class Sessions:
    """Sessions of whole listeners in order of time, each (n_sessions,).

    Parameters
    ----------
    listener
        Number of the listener.
    start
        Seconds since the log's beginning.
    length
        Seconds.
    effect
        What the hour adds to the logarithm of the length.
    """

    listener: Integers
    start: Floats
    length: Floats
    effect: Floats


def draw_sessions(laws: Listeners, *, days: int, rng: np.random.Generator) -> Sessions:
    """Draw all sessions of some listeners, in order of listener and time."""
    n = len(laws.rate)
    rates = laws.rates(days)
    hazards = laws.hazards(rates)
    stays = np.cumsum(rng.random((n, days)) < hazards, axis=1)
    present = np.concatenate([np.ones((n, 1), dtype=bool), stays[:, :-1] == 0], axis=1)
    counts = rng.poisson(np.where(present, rates, 0))
    listener, day = (
        np.repeat(axis, counts.ravel()) for axis in np.indices(counts.shape).reshape(2, -1)
    )
    hour = (laws.hour[listener] + rng.normal(0, 2.5, len(listener))) % 24
    planned = day * DAY_S + hour * 3600
    order = np.lexsort((planned, listener))
    listener, planned, hour = listener[order], planned[order], hour[order]
    effect = np.where((hour >= 18) & (hour < 23), 0.25, np.where(hour < 10, -0.2, 0.0))
    length = _lengths(laws, listener, effect, rng)
    start = _apart(listener, planned, length)
    inside = start + length < days * DAY_S
    return Sessions(listener[inside], start[inside], length[inside], effect[inside])


def _lengths(
    laws: Listeners, listener: Integers, effect: Floats, rng: np.random.Generator
) -> Floats:
    """Draw lengths, each by the one before it: one step for all listeners' k-th sessions."""
    bounds = np.flatnonzero(np.diff(listener, prepend=-1, append=-1))
    sizes = np.diff(bounds)
    noise = rng.normal(0, SIGMA, len(listener))
    mean = laws.length[listener]
    log = np.empty(len(listener))
    before = np.zeros(len(sizes))
    for k in range(int(sizes.max(initial=0))):
        rows = bounds[:-1][sizes > k] + k
        before = before[sizes[sizes > k - 1] > k] if k else before
        log[rows] = mean[rows] + RHO * before + effect[rows] + noise[rows]
        log[rows] = log[rows].clip(np.log(LEAST_S), np.log(MOST_S))
        before = log[rows] - mean[rows]
    return np.exp(log)


def _apart(listener: Integers, planned: Floats, length: Floats) -> Floats:
    """Return starts, put off where the session before has not ended for `REST_S`."""
    busy = np.cumsum(length + REST_S) - (length + REST_S)  # of all before
    free = planned - busy
    apart = listener * (np.ptp(free) + 1 if len(free) else 0)
    return np.asarray(np.maximum.accumulate(free + apart) - apart + busy)

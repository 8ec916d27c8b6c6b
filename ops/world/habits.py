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
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

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
LOOK_BACK = 30
HORIZONS = (14, 7, 3)


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
            rate=mean_rate * rng.lognormal(-0.5 * 0.9**2, 0.9, n),
            trend=rng.normal(-0.1, 0.5, n),
            length=rng.normal(np.log(2100), 0.45, n),
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
    mu
        The mean of the logarithm of the length that the law gives, before it is cut.
    """

    listener: Integers
    start: Floats
    length: Floats
    mu: Floats


def draw_sessions(
    laws: Listeners, *, days: int, rng: np.random.Generator
) -> tuple[Sessions, Floats, Floats]:
    """Draw all sessions of some listeners.

    Returns
    -------
    sessions
        In order of listener and time.
    rates, hazards
        Of each listener and day, (n, days).
    """
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
    mu, length = _lengths(laws, listener, hour, rng)
    start = _apart(listener, planned, length)
    inside = start + length < days * DAY_S
    return (
        Sessions(listener[inside], start[inside], length[inside], mu[inside]),
        rates,
        hazards,
    )


def _lengths(
    laws: Listeners, listener: Integers, hour: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Draw lengths, each by the one before it: one step for all listeners' k-th sessions."""
    total = len(listener)
    bounds = np.flatnonzero(np.diff(listener, prepend=-1, append=-1))
    sizes = np.diff(bounds)
    effect = np.where((hour >= 18) & (hour < 23), 0.25, np.where(hour < 10, -0.2, 0.0))
    noise = rng.normal(0, SIGMA, total)
    mean = laws.length[listener]
    mu, log = np.empty(total), np.empty(total)
    before = np.zeros(len(sizes))
    for k in range(int(sizes.max(initial=0))):
        rows = bounds[:-1][sizes > k] + k
        before = before[sizes[sizes > k - 1] > k] if k else before
        mu[rows] = mean[rows] + RHO * before + effect[rows]
        log[rows] = (mu[rows] + noise[rows]).clip(np.log(LEAST_S), np.log(MOST_S))
        before = log[rows] - mean[rows]
    return mu, np.exp(log)


def _apart(listener: Integers, planned: Floats, length: Floats) -> Floats:
    """Return starts, put off where the session before has not ended for `REST_S`."""
    busy = np.cumsum(length + REST_S) - (length + REST_S)  # of all before
    free = planned - busy
    apart = listener * (np.ptp(free) + 1 if len(free) else 0)
    return np.asarray(np.maximum.accumulate(free + apart) - apart + busy)


def length_quantile(mu: Floats, quantile: float) -> Floats:
    """Return a quantile of the lengths that the law gives, seconds."""
    log = mu + SIGMA * NormalDist().inv_cdf(quantile)
    return np.asarray(np.exp(log).clip(LEAST_S, MOST_S))


def leaving(sessions: Sessions, rates: Floats, hazards: Floats, dates: Integers) -> dict[str, Any]:
    """Return the probability of no session in the days after each date, by who knows the laws.

    Who judges knows each listener's rates and hazards, past and to come, and the days on which they
    listened up to the date; not whether they have left.

    Parameters
    ----------
    sessions
        Of all listeners.
    rates, hazards
        (n, days).
    dates
        Days; what happened before the day's beginning is known.

    Returns
    -------
    dict
        ``listener``, ``day``, and ``p<horizon>`` of `HORIZONS`, for listeners with a session in the
        `LOOK_BACK` days before the date.
    """
    n, days = rates.shape
    active = np.zeros((n, days), dtype=bool)
    active[sessions.listener, (sessions.start // DAY_S).astype(np.int64)] = True
    here = np.zeros((days + 1, n))
    here[0] = 1.0
    for day in range(days):
        silent = here[day] * np.exp(-rates[:, day])
        seen = np.where(active[:, day], 1.0, silent / np.maximum(silent + 1 - here[day], 1e-300))
        here[day + 1] = seen * (1 - hazards[:, day])
    found: dict[str, list[Any]] = {name: [] for name in ("listener", "day", "p14", "p7", "p3")}
    for date in dates.tolist():
        who = np.flatnonzero(active[:, max(date - LOOK_BACK, 0) : date].any(axis=1))
        found["listener"].append(who)
        found["day"].append(np.full(len(who), date))
        quiet, stays = np.zeros(len(who)), np.ones(len(who))
        for ahead in range(max(HORIZONS)):
            # To be here on this day without a session so far, then silent on it; or gone before it.
            stays = stays * np.exp(-rates[who, date + ahead])
            if ahead + 1 in HORIZONS:
                silent = quiet + stays
                found[f"p{ahead + 1}"].append(1 - here[date][who] + here[date][who] * silent)
            quiet, stays = (
                quiet + stays * hazards[who, date + ahead],
                stays * (1 - hazards[who, date + ahead]),
            )
    return {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in found.items()}

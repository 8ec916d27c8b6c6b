"""Lengths as quantiles: from the trees' scores to seconds, and to the probability of longer.

Trees learn the root of the hours, in which short and long sessions count more alike than in seconds
and less than in logarithms; of a session that goes on, by how much its root exceeds that of what
has elapsed. Quantiles are sorted, so that they never cross (Chernozhukov et al.,
Econometrica 2010: sorting never makes them worse).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
MEDIAN = LEVELS.index(0.5)
HOUR = 3600.0  # seconds

PRIOR_MEDIAN_S, PRIOR_DEVIATION = 30 * 60.0, 1.2
"""What is said of a length before any training: log-normal."""
_NORMAL = (-1.281552, -0.841621, -0.524401, -0.253347, 0.0, 0.253347, 0.524401, 0.841621, 1.281552)
PRIOR = tuple(PRIOR_MEDIAN_S * math.exp(PRIOR_DEVIATION * z) for z in _NORMAL)
"""Its quantiles of `LEVELS`, in seconds."""

Floats = npt.NDArray[np.float64]


def root(seconds: npt.ArrayLike) -> Floats:
    """Return the roots of times in hours."""
    return np.asarray(np.sqrt(np.asarray(seconds, dtype=np.float64) / HOUR))


def seconds(roots: Floats) -> Floats:
    """Return times whose roots these are, sorted along the last axis and none below 0."""
    return np.asarray(np.sort(roots, axis=-1).clip(min=0.0) ** 2 * HOUR)


def gains(remaining: Floats, elapsed: Floats) -> Floats:
    """Return by how much the root of a session's length exceeds that of what has elapsed.

    Parameters
    ----------
    remaining, elapsed
        Seconds, (n,).
    """
    total = remaining + elapsed
    return np.asarray(root(total) - root(elapsed))


def remaining_seconds(gain: Floats, elapsed: Floats) -> Floats:
    """Return the times that remain of which these are the gains, sorted along the last axis.

    Parameters
    ----------
    gain
        (n, n_levels).
    elapsed
        Seconds, (n,).
    """
    before = root(elapsed)[:, None]
    more = np.sort(gain, axis=-1).clip(min=0.0)
    return np.asarray(more * (more + 2 * before) * HOUR)


def longer_than(quantiles: Sequence[float], limit: float) -> float:
    """Return the probability of a time over a limit.

    Between quantiles the distribution is taken as even in the root of time; below the first it
    begins at 0, and beyond the last it falls as between the median and it.

    Parameters
    ----------
    quantiles
        Of `LEVELS`, in seconds, rising.
    limit
        Seconds.

    Examples
    --------
    >>> round(longer_than(PRIOR, 1800), 3)
    0.5
    """
    last, middle = quantiles[-1], quantiles[MEDIAN]
    if limit >= last:
        rest = 1 - LEVELS[-1]
        scale = (last - middle) / math.log((1 - LEVELS[MEDIAN]) / rest)
        return rest * math.exp(-(limit - last) / scale) if scale > 0 else 0.0
    below_level, below = 0.0, 0.0
    for level, quantile in zip(LEVELS, quantiles, strict=True):
        if limit < quantile:
            low, high = math.sqrt(below), math.sqrt(quantile)
            share = (math.sqrt(limit) - low) / (high - low) if high > low else 0.0
            return 1 - (below_level + share * (level - below_level))
        below_level, below = level, quantile
    return 1 - LEVELS[-1]

"""What forecasts are compared with: a listener's own history, and everyone's, exactly."""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING

import numpy as np

from listening.sessions.forecast import LEVELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sessions.data import Floats, Integers, Sessions


def running_quantiles(
    listener: Integers, length: Floats, everyone: Floats, *, levels: Sequence[float] = LEVELS
) -> Floats:
    """Return quantiles of each listener's earlier sessions, (n, n_levels).

    Parameters
    ----------
    listener, length
        Of sessions in order of listener and time, (n,); lengths in seconds.
    everyone
        What stands in for a listener's first session, (n_levels,).
    levels
        Which quantiles.
    """
    found = np.empty((len(length), len(levels)))
    shares = np.array(levels)
    known: list[float] = []
    last = -1
    for row, (who, value) in enumerate(zip(listener.tolist(), length.tolist(), strict=True)):
        if who != last:
            known, last = [], who
        if known:
            place = shares * (len(known) - 1)
            low = place.astype(np.int64)
            below = np.array([known[i] for i in low.tolist()])
            above = np.array([known[min(i + 1, len(known) - 1)] for i in low.tolist()])
            found[row] = below + (place - low) * (above - below)
        else:
            found[row] = everyone
        insort(known, value)
    return found


def training_means(train: Sessions) -> dict[str, float]:
    """Return the mean length of each listener's training sessions, in seconds, by their id."""
    sums = np.bincount(train.listener, train.length)
    means = sums / np.bincount(train.listener)
    return dict(zip(train.user_ids.tolist(), means.tolist(), strict=True))

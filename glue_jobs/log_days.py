"""From which day to which a log reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST_SHARE = 0.01
"""A day with fewer listeners than this share of the busiest day's is no day of the log; neither are
days between two pauses that together have fewer than this share of the busiest such days'."""
PAUSE = 30
"""Days without anything that make a pause."""


def log_of(listeners: Mapping[int, int]) -> tuple[int, int]:
    """Return the first and the last day of a log.

    A few damaged times, months away from all others, do not make it longer.

    Parameters
    ----------
    listeners
        How many did something, by day; at least one day.
    """
    least = LEAST_SHARE * max(listeners.values())
    days = np.array(sorted(day for day, n in listeners.items() if n >= least))
    begins = np.flatnonzero(np.diff(days, prepend=days[0] - PAUSE - 1) > PAUSE)
    ends = np.append(begins[1:], len(days)) - 1
    between = np.add.reduceat([listeners[day] for day in days.tolist()], begins)
    busy = np.flatnonzero(between >= LEAST_SHARE * between.max())
    return int(days[begins[busy[0]]]), int(days[ends[busy[-1]]])

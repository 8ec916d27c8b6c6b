"""From which day to which a log reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEAST_SHARE = 0.01
"""A day with fewer listeners than this share of the busiest day's is no day of the log."""


def log_of(listeners: Mapping[int, int]) -> tuple[int, int]:
    """Return the first and the last day of a log.

    A few damaged times, years away from all others, do not make it longer.

    Parameters
    ----------
    listeners
        How many did something, by day; at least one day.
    """
    least = LEAST_SHARE * max(listeners.values())
    days: Sequence[int] = [day for day, n in listeners.items() if n >= least]
    return min(days), max(days)

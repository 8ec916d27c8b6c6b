"""Counts: how many plays a listener has; the arithmetic that all its stages share."""

from __future__ import annotations

import math

BUNDLE, MODEL, PRIOR = "counts.bundle", "counts.model", "counts.prior"


def expected_plays(mean_log: float | None) -> float:
    """Return how many plays a listener is expected to have; 1 before any training."""
    return 1.0 if mean_log is None else math.exp(mean_log)

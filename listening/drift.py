"""How the answers of a bundle are spread: of its test listeners, and of whoever asks later.

Training keeps the profile of the test listeners in the bundle's evaluation; the drift job makes
the same profile of captured answers and compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

Profile = dict[str, dict[str, int]]
"""Listeners by value, by measure. Values are text, as JSON needs its keys."""

STEPS = 100
"""Shares and probabilities are counted in hundredths."""


def counts(values: npt.NDArray[Any]) -> dict[str, int]:
    """Return how often each number occurs."""
    found, numbers = np.unique(values, return_counts=True)
    return {f"{value:g}": int(n) for value, n in zip(found, numbers, strict=True)}


def counts_of_shares(values: npt.NDArray[np.floating[Any]]) -> dict[str, int]:
    """Return how often each share occurs, in steps."""
    return counts(np.round(values * STEPS) / STEPS)


def listeners_of(profile: Mapping[str, Mapping[str, int]]) -> int:
    """Return how many listeners a profile is of; each has a value of every measure."""
    return sum(next(iter(profile.values()), {}).values())

"""How the answers of a bundle are spread: of its test listeners, and of whoever asks later.

Training keeps the profile of the test listeners in the bundle's evaluation; the drift job makes
the same profile of captured answers and compares.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

Profile = dict[str, dict[str, int]]
"""Listeners by value, by measure. Values are text, as JSON needs its keys."""

MEASURES = ("artist_coverage", "list_length", "confidence", "country")
STEPS = 100
"""Shares and probabilities are counted in hundredths."""


def answer_profile(
    *,
    known: npt.NDArray[np.integer[Any]],
    unknown: npt.NDArray[np.integer[Any]],
    countries: Sequence[str],
    probabilities: npt.NDArray[np.floating[Any]],
) -> Profile:
    """Return the profile of some answers.

    Parameters
    ----------
    known, unknown
        Artists of each listener that the bundle knows and does not know, ``(n_listeners,)``.
    countries
        The likeliest country of each listener.
    probabilities
        Its probability, ``(n_listeners,)``.
    """
    length = known + unknown
    share = np.divide(known, length, out=np.zeros(len(length)), where=length > 0)
    return {
        "artist_coverage": _counts(np.round(share * STEPS) / STEPS),
        "list_length": _counts(length),
        "confidence": _counts(np.round(probabilities * STEPS) / STEPS),
        "country": dict(sorted(Counter(countries).items())),
    }


def listeners_of(profile: Mapping[str, Mapping[str, int]]) -> int:
    """Return how many listeners a profile is of."""
    return sum(profile["country"].values())


def _counts(values: npt.NDArray[Any]) -> dict[str, int]:
    found, counts = np.unique(values, return_counts=True)
    return {f"{value:g}": int(count) for value, count in zip(found, counts, strict=True)}

"""How answers are spread: see `listening.drift`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from listening.drift import Profile, counts

if TYPE_CHECKING:
    import numpy.typing as npt

STEP = 0.1
"""Logarithms are counted in tenths: a step is a tenth of a length."""


def answer_profile(
    *, medians: npt.NDArray[np.floating[Any]], sessions_used: npt.NDArray[np.integer[Any]]
) -> Profile:
    """Return the profile of forecasts of a session that begins.

    Parameters
    ----------
    medians
        Forecast median lengths in seconds, (n,).
    sessions_used
        How many sessions of the listener were known, (n,).
    """
    return {
        "median_length": counts(_steps(medians)),
        "sessions_used": counts(_steps(sessions_used)),
    }


def _steps(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.asarray(np.round(np.log1p(values) / STEP) * STEP)

"""How answers are spread: see `listening.drift`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from listening.drift import Profile, counts, counts_of_shares

if TYPE_CHECKING:
    from listening.churn.days import Floats, Integers


def answer_profile(*, risk: Floats, recency: Integers) -> Profile:
    """Return the profile of answers about the longest horizon.

    Parameters
    ----------
    risk
        Probabilities of being gone, (n,).
    recency
        Days since each listener's last one with something, (n,).
    """
    return {"risk": counts_of_shares(risk), "recency": counts(np.asarray(recency))}

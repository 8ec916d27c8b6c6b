from __future__ import annotations

import numpy as np

from listening.country.answer_profile import answer_profile
from listening.drift import listeners_of
from listening.systems import SYSTEMS


def test_a_profile_counts_listeners() -> None:
    found = answer_profile(
        known=np.array([3, 0, 3]),
        unknown=np.array([1, 0, 1]),
        countries=["IS", "DE", "IS"],
        probabilities=np.array([0.123, 0.5, 0.12]),
    )
    assert found == {
        "artist_coverage": {"0": 1, "0.75": 2},
        "list_length": {"0": 1, "4": 2},
        "confidence": {"0.12": 2, "0.5": 1},
        "country": {"DE": 1, "IS": 2},
    }
    assert tuple(found) == SYSTEMS["country"].drift
    assert listeners_of(found) == 3

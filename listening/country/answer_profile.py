"""How country's answers are spread: what its drift is measured in."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from listening.drift import Profile, counts, counts_of_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


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
        "artist_coverage": counts_of_shares(share),
        "list_length": counts(length),
        "confidence": counts_of_shares(probabilities),
        "country": dict(sorted(Counter(countries).items())),
    }

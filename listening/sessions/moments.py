"""What is known after a play of a session that goes on, beside what was known at its start."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from listening.sessions.state import FEATURES

WITHIN = ("elapsed", "plays_so_far", "elapsed_a_play", "skipped_so_far")
"""Names of the features within a session; times are log(1 + seconds)."""

MOMENT_FEATURES = (*FEATURES, *WITHIN)
"""What the time that remains is forecast from."""


def within(
    elapsed: npt.ArrayLike, plays: npt.ArrayLike, skips: npt.ArrayLike
) -> npt.NDArray[np.float32]:
    """Return the features within a session, (n, 4).

    Parameters
    ----------
    elapsed
        Seconds from the session's start to its latest end so far, (n,).
    plays, skips
        How many so far, and how many of them were skipped, (n,).
    """
    time, played, skipped = (np.asarray(v, dtype=np.float64) for v in (elapsed, plays, skips))
    return np.stack(
        [np.log1p(time), np.log(played), np.log1p(time / played), skipped / played], axis=-1
    ).astype(np.float32)

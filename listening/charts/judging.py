"""How a list does by what each listener plays next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from listening.charts.parts import Floats, Integers

DEPTHS = (10, 50)
MEASURES = tuple(
    f"{measure}{depth}{what}"
    for what in ("", "_new")
    for depth in DEPTHS
    for measure in ("hit", "ndcg")
)
"""Names of a listener's figures: whether one of the first 10 or 50 is played, and normalised
discounted cumulative gain; ``_new`` counts tracks that the listener had not played before alone."""

_DISCOUNT = 1 / np.log2(np.arange(2, max(DEPTHS) + 2))


def judged(
    owner: Integers, rank: Integers, is_new: npt.NDArray[np.bool_], listeners: int
) -> Floats:
    """Return `MEASURES` of each listener, (n_listeners, 8); NaN where there is nothing to meet.

    Parameters
    ----------
    owner
        Number of the listener, a row for each listener and track that they play next, (n,).
    rank
        The track's rank in the list, from 0; -1 where it is not in it, (n,).
    is_new
        Whether the listener had not played it before, (n,).
    listeners
        How many there are.
    """
    columns = []
    for counts in (np.ones(len(owner), dtype=bool), is_new):
        n = np.bincount(owner[counts], minlength=listeners)
        for depth in DEPTHS:
            met = counts & (rank >= 0) & (rank < depth)
            found = np.bincount(owner[met], _DISCOUNT[rank[met]], listeners)
            ideal = np.concatenate([[0.0], np.cumsum(_DISCOUNT[:depth])])[np.minimum(n, depth)]
            hit = np.where(n > 0, found > 0, np.nan)
            ndcg = np.divide(found, ideal, out=np.full(listeners, np.nan), where=n > 0)
            columns += [hit, ndcg]
    return np.column_stack(columns)

"""How well scores put some rows before others: measures that weigh rows by their listener.

Scores are sorted once; what a draw of a bootstrap costs is then a running sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]


class Ranking:
    """Rows from the highest score to the lowest.

    Parameters
    ----------
    score
        (n,).
    is_positive
        What a high score should tell, (n,).
    owner
        Number of each row's listener, (n,).
    """

    def __init__(self, score: Floats, is_positive: Flags, owner: Integers) -> None:
        order = np.argsort(-score, kind="stable")
        self._owner, self._positive = owner[order], is_positive[order]
        # Rows of one score are counted together: their order says nothing.
        self._ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))

    def _counts(self, weights: Floats | None) -> tuple[Floats, Floats]:
        """Return the weight of positive rows and of all down to each score, rising."""
        each = np.ones(len(self._owner)) if weights is None else weights[self._owner]
        return (
            np.cumsum(each * self._positive)[self._ends],
            np.cumsum(each)[self._ends],
        )

    def auc(self, weights: Floats | None = None) -> float:
        """Return the area under the ROC curve; NaN where all rows are of one kind.

        Parameters
        ----------
        weights
            Of listeners, (n_listeners,); 1 for None.
        """
        found, rows = self._counts(weights)
        wrong = rows - found
        if not (found[-1] and wrong[-1]):
            return float("nan")
        up, across = (np.concatenate([[0.0], side]) for side in (found, wrong))
        return float(np.trapezoid(up, across) / (found[-1] * wrong[-1]))

    def average_precision(self, weights: Floats | None = None) -> float:
        """Return the mean precision over the positive rows; NaN without any.

        Parameters
        ----------
        weights
            As `auc`.
        """
        found, rows = self._counts(weights)
        if not found[-1]:
            return float("nan")
        precision = found / np.where(rows > 0, rows, 1)
        return float(precision @ np.diff(found, prepend=0.0) / found[-1])

    def gain(self, share: float, weights: Floats | None = None) -> float:
        """Return the share of the positive rows among so large a share of the highest scores.

        Parameters
        ----------
        share
            Of the rows.
        weights
            As `auc`.
        """
        found, rows = self._counts(weights)
        up, across = (np.concatenate([[0.0], side]) for side in (found, rows))
        return float(np.interp(share * rows[-1], across, up) / found[-1]) if found[-1] else np.nan

    def curve(self, points: int = 200) -> tuple[list[float], list[float]]:
        """Return the ROC curve: shares of other rows and of positive ones, of at most so many."""
        found, rows = self._counts(None)
        wrong = rows - found
        keep = np.unique(np.linspace(0, len(found) - 1, points).astype(int))
        across = [0.0, *(wrong[keep] / max(wrong[-1], 1)).tolist()]
        return across, [0.0, *(found[keep] / max(found[-1], 1)).tolist()]

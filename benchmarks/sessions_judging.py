"""The arithmetic of `sessions.py`: ratios with intervals over listeners, matching of sessions."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from listening.intervals import Interval  # noqa: E402

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

DRAWS = 1_000


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Two sides of one run, and the first over the second.

    Parameters
    ----------
    ours, theirs
        Means over the sessions.
    ratio
        With a 95% interval over listeners.
    rows, listeners
        How many sessions and whose.
    """

    ours: float
    theirs: float
    ratio: Interval
    rows: int
    listeners: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def compared(ours: Floats, theirs: Floats, listener: npt.NDArray[Any]) -> Compared:
    """Return the ratio of two sums, its interval by drawing listeners with all their sessions.

    Parameters
    ----------
    ours, theirs
        Losses of the same sessions, ``(n,)``.
    listener
        Whose each session is, ``(n,)``.

    Raises
    ------
    ValueError
        There are no sessions.
    """
    if not len(ours):
        raise ValueError("no sessions to compare on")
    _, place = np.unique(listener, return_inverse=True)
    n = int(place.max()) + 1
    sums = np.stack([np.bincount(place, losses, n) for losses in (ours, theirs)])
    weights = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=DRAWS)
    drawn = weights @ sums.T
    drawn = drawn[drawn[:, 1] > 0]
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    total = sums.sum(axis=1)
    return Compared(
        ours=float(total[0] / len(ours)),
        theirs=float(total[1] / len(ours)),
        ratio=Interval(float(total[0] / total[1]), float(low), float(high)),
        rows=len(ours),
        listeners=n,
    )


def share(holds: npt.NDArray[np.bool_], listener: npt.NDArray[Any]) -> Compared:
    """Return in how many of the sessions something holds, with an interval over listeners."""
    return compared(holds.astype(float), np.ones(len(holds)), listener)


def matched(
    asked: tuple[npt.NDArray[Any], Floats], known: tuple[npt.NDArray[Any], Floats]
) -> npt.NDArray[np.int64]:
    """Return the place among known sessions of each that is asked for, -1 where there is none.

    Parameters
    ----------
    asked, known
        Listeners' ids and starts in seconds, each ``(n,)``; a start is the same to the millisecond.
    """
    place = {key: i for i, key in enumerate(_keys(*known))}
    return np.array([place.get(key, -1) for key in _keys(*asked)], dtype=np.int64)


def _keys(user: npt.NDArray[Any], start: Floats) -> zip[tuple[str, int]]:
    return zip(user.tolist(), np.round(start * 1e3).astype(np.int64).tolist(), strict=True)

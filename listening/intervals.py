"""How sure a figure is: bootstrap intervals of metrics, and of paired differences."""

from __future__ import annotations

from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from listening.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FloatArray = npt.NDArray[np.float64]

Judged = TypeVar("Judged", bound=Sized)
"""What a model said about each of some listeners; as long as they are many."""

Summary = Callable[[Judged, FloatArray | None], dict[str, float]]
"""From that, and each listener's weight (1 if None), to metrics."""


@dataclass(frozen=True)
class Interval:
    """A figure with its 95% bootstrap interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """Return the interval as plain data."""
        return {"value": self.value, "low": self.low, "high": self.high}


def bootstrap(
    models: Mapping[str, Judged],
    summary: Summary[Judged],
    *,
    against: Iterable[tuple[str, str]] = (),
    draws: int = 1000,
    seed: int = 0,
) -> tuple[dict[str, dict[str, Interval]], dict[tuple[str, str], dict[str, Interval]]]:
    """Return 95% percentile intervals of each model's metrics and of paired differences.

    Parameters
    ----------
    models
        What each model said about the same listeners.
    summary
        Its metrics, each a weighted sum over the listeners.
    against
        Pairs of models; a difference is the first's metric minus the second's on the same draw.
    draws
        How often the listeners are drawn with replacement.
    seed
        Decides the draws.

    Returns
    -------
    dict, dict
        Intervals by model and metric, and by pair and metric.
    """
    pairs = list(against)
    sizes = {len(outcomes) for outcomes in models.values()}
    if len(sizes) != 1:
        raise DataError("paired intervals need every model judged on the same listeners")
    n = sizes.pop()
    rng = np.random.default_rng(seed)
    point = {name: summary(outcomes, None) for name, outcomes in models.items()}
    metrics = list(next(iter(point.values())))
    drawn = {name: np.empty((draws, len(metrics))) for name in models}
    for draw in range(draws):
        weights = np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)
        for name, outcomes in models.items():
            values = summary(outcomes, weights)
            drawn[name][draw] = [values[metric] for metric in metrics]

    def intervals(values: list[float], draws_of: FloatArray) -> dict[str, Interval]:
        low, high = np.quantile(draws_of, [0.025, 0.975], axis=0)
        return {
            metric: Interval(float(values[i]), float(low[i]), float(high[i]))
            for i, metric in enumerate(metrics)
        }

    alone = {name: intervals([point[name][m] for m in metrics], drawn[name]) for name in models}
    differences = {
        (a, b): intervals([point[a][m] - point[b][m] for m in metrics], drawn[a] - drawn[b])
        for a, b in pairs
    }
    return alone, differences

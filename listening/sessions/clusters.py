"""Kinds of listeners: centroids of what is known of those trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from listening.sessions.state import SUMMARY

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Clusters:
    """Clusters of listeners.

    Parameters
    ----------
    mean, deviation
        Of each column of `SUMMARY` over the listeners trained on, (7,); a deviation of 0 leaves a
        column out.
    centroids
        Standardised, (n_clusters, 7).
    """

    mean: Floats
    deviation: Floats
    centroids: Floats

    def __len__(self) -> int:
        """Return how many clusters there are."""
        return len(self.centroids)

    def standardised(self, summaries: npt.ArrayLike) -> Floats:
        """Return summaries in standard deviations from the mean, 0 where unknown, (n, 7)."""
        rows = np.atleast_2d(np.asarray(summaries, dtype=np.float64))
        deviation = np.where(self.deviation > 0, self.deviation, np.inf)
        return np.asarray(np.nan_to_num((rows - self.mean) / deviation))

    def nearest(self, summaries: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the cluster whose centroid is nearest to each listener's summary, (n,)."""
        rows = self.standardised(summaries)
        distance = ((rows[:, None, :] - self.centroids[None]) ** 2).sum(axis=2)
        return np.asarray(distance.argmin(axis=1), dtype=np.int64)

    def to_json(self) -> dict[str, Any]:
        """Return this as plain data."""
        return {name: values.round(6).tolist() for name, values in vars(self).items()}

    @classmethod
    def from_json(cls, document: Any) -> Clusters:
        """Read what `to_json` wrote.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is something else.
        """
        clusters = cls(*(np.array(document[n], dtype=np.float64) for n in cls.__annotations__))
        width = len(SUMMARY)
        shapes = {clusters.mean.shape, clusters.deviation.shape, clusters.centroids.shape[1:]}
        if shapes != {(width,)}:
            raise ValueError(f"centroids of {clusters.centroids.shape}, but {width} columns")
        return clusters

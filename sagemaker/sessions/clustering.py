"""Kinds of listeners, by what their training sessions say: how many kinds, and by which method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.metrics import silhouette_score

from listening.sessions.clusters import Clusters

if TYPE_CHECKING:
    import numpy.typing as npt

    from listening.sessions.clusters import Floats

MOST_LISTENERS = 2_000
"""A spectral clustering compares all with all: of more listeners a sample is clustered."""
NEIGHBOURS = 10
MOST_CLUSTERS = 6
FEWEST_LISTENERS = 20
"""Fewer are one kind."""


@dataclass(frozen=True)
class Clustering:
    """Clusters, and how their number came about.

    Parameters
    ----------
    clusters
        The clusters.
    method
        ``kmeans`` or ``spectral``, or ``one`` where there are too few listeners.
    silhouettes
        Mean silhouette by number of clusters, by method.
    inertia
        Sum of squared distances by number of clusters, of k-means: its elbow.
    places
        Two principal components of each listener clustered, and the cluster, (n, 3).
    """

    clusters: Clusters
    method: str
    silhouettes: dict[str, dict[int, float]]
    inertia: dict[int, float]
    places: Floats

    def to_json(self) -> dict[str, Any]:
        """Return how it came about, as plain data."""
        return {
            "method": self.method,
            "silhouettes": self.silhouettes,
            "inertia": self.inertia,
            "places": self.places.round(3).tolist(),
        }


def find_clusters(summaries: npt.NDArray[Any], *, seed: int) -> Clustering:
    """Cluster listeners by k-means and spectrally; the number and method of best silhouette win.

    Parameters
    ----------
    summaries
        Of listeners, as `listening.sessions.state.SUMMARY` names the columns, (n, 7).
    seed
        Decides starts and the sample.
    """
    rows = summaries.astype(np.float64)
    mean, deviation = _moments(rows)
    alone = Clusters(mean, deviation, np.zeros((1, rows.shape[1])))
    points = alone.standardised(rows)
    if len(points) < FEWEST_LISTENERS:
        return Clustering(alone, "one", {}, {}, _places(points, np.zeros(len(points))))
    if len(points) > MOST_LISTENERS:
        chosen = np.random.default_rng(seed).choice(len(points), MOST_LISTENERS, replace=False)
        points = points[np.sort(chosen)]
    silhouettes: dict[str, dict[int, float]] = {"kmeans": {}, "spectral": {}}
    inertia: dict[int, float] = {}
    labels: dict[tuple[str, int], npt.NDArray[Any]] = {}
    for k in range(2, MOST_CLUSTERS + 1):
        means = KMeans(k, n_init=5, random_state=seed).fit(points)
        inertia[k] = float(means.inertia_)
        labels["kmeans", k] = means.labels_
        labels["spectral", k] = SpectralClustering(
            k,
            affinity="nearest_neighbors",
            n_neighbors=min(NEIGHBOURS, len(points) - 1),
            random_state=seed,
        ).fit_predict(points)
        for method, by_k in silhouettes.items():
            found = labels[method, k]
            by_k[k] = float(silhouette_score(points, found)) if len(set(found)) > 1 else -1.0
    method, k = max(labels, key=lambda pair: silhouettes[pair[0]][pair[1]])
    found = labels[method, k]
    centroids = np.stack([points[found == label].mean(axis=0) for label in np.unique(found)])
    clusters = Clusters(mean, deviation, centroids)
    return Clustering(clusters, method, silhouettes, inertia, _places(points, found))


def _moments(rows: Floats) -> tuple[Floats, Floats]:
    """Return mean and deviation of each column; 0 for one that nobody has."""
    known = ~np.isnan(rows)
    n = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, rows, 0.0).sum(axis=0) / n
    return mean, np.sqrt(np.where(known, (rows - mean) ** 2, 0.0).sum(axis=0) / n)


def _places(points: Floats, labels: npt.NDArray[Any]) -> Floats:
    centred = points - points.mean(axis=0) if len(points) else points
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return np.column_stack([centred @ axes[:2].T, labels])

"""Artists' affinities to countries: multinomial logistic regression on TF-IDF, over Spark.

A listener's row is x = w·s / (Σ (w·s)²)^`NORM_POWER`, w being listening weights and s the artists'
salience: IDF times a power of how far the artist's listeners' countries are from everybody's
(Kullback-Leibler divergence). The regression sees [x, `VECTOR_SCALE`·x·V] with V the artists'
vectors, and has, beside the weights of each country, weights that a region's countries share.
That collapses to one row per artist,

    A = W + U·region + VECTOR_SCALE·V·(W' + U'·region),    logits = x·A + b.

One fit per fold leaves that fold out, for features of its listeners that never saw their label;
one is on all. All fits share each pass over the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse

from glue_jobs.lbfgs import minimise
from glue_jobs.svd import idf
from music_country.listeners import NORM_POWER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glue_jobs.packing import Listeners, PackedListeners

Floats = npt.NDArray[np.float32]
Fits = tuple[Floats, Floats, Floats]
"""Salience-weighted rows, bias and salience of some fits."""

VECTOR_SCALE = 2.0
SALIENCE_PRIOR = 20.0  # listeners that an artist has in advance, from countries as they are
SALIENCE_POWER = 0.6
SHARED_PENALTY = 1.7  # of the weights that a region's countries share, against a country's own
MEAN_SALIENCE = 4.5  # root mean square over plays, so that the penalty means the same everywhere


@dataclass(frozen=True, kw_only=True)
class Regression:
    """How affinities are fitted.

    Parameters
    ----------
    regions
        (n_countries,) the place of each country's region.
    folds
        How many folds are left out in turn.
    strength
        C: the losses' weight against the penalty ½·(|W|² + `SHARED_PENALTY`·|U|²).
    iterations
        The most steps.
    tolerance
        Stops a fit when a step gains less than this share of the objective.
    min_listeners
        Artists with fewer listeners have no affinity.
    """

    regions: npt.NDArray[np.int64]
    folds: int
    strength: float
    iterations: int
    tolerance: float
    min_listeners: int

    @property
    def countries(self) -> int:
        """The number of countries."""
        return len(self.regions)

    @property
    def region_of(self) -> Floats:
        """(n_countries, n_regions) 1 where a country is of a region."""
        return np.eye(int(self.regions.max()) + 1, dtype=np.float32)[self.regions]


@dataclass(frozen=True, kw_only=True)
class Affinities:
    """What was fitted; of the fits, each of the first leaves out its fold, the last is on all.

    Parameters
    ----------
    salience
        (fits, n_artists).
    weights
        (fits, n_artists, n_countries) the rows A.
    bias
        (fits, n_countries).
    passes
        () passes over the data.
    loss
        (fits,) mean log loss on the listeners of each fit.
    """

    salience: Floats
    weights: Floats
    bias: Floats
    passes: npt.NDArray[np.int64]
    loss: npt.NDArray[np.float64]


def fit(packed: Listeners, vectors: Floats, regression: Regression) -> Affinities:
    """Fit the affinities of artists.

    Parameters
    ----------
    packed
        Packed listeners with labels and folds.
    vectors
        (n_artists, dimensions) artist vectors.
    regression
        How.
    """
    heard, listeners = _count(packed, regression)
    heard = np.concatenate([heard.sum(axis=0) - heard, heard.sum(axis=0)[None]])
    listeners = np.concatenate([listeners.sum(axis=0) - listeners, listeners.sum(axis=0)[None]])
    saliences = np.stack(
        [
            salience(h, n, least=regression.min_listeners)
            for h, n in zip(heard, listeners, strict=True)
        ]
    )
    lengths = np.linalg.norm(vectors, axis=0)
    shape = _Shape(
        (VECTOR_SCALE * vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32),
        regression.region_of,
    )
    rows = listeners.sum(axis=1)
    fits = [
        minimise(shape.start(n), iterations=regression.iterations, tolerance=regression.tolerance)
        for n in listeners
    ]
    points = {place: next(each) for place, each in enumerate(fits)}
    results: dict[int, Floats] = {}
    losses, passes = np.zeros(len(fits)), 0
    while points:
        active = list(points)
        collapsed = [shape.collapse(points[place]) for place in active]
        weights = np.stack(
            [a * saliences[p][:, None] for p, (a, _) in zip(active, collapsed, strict=True)]
        )
        bias = np.stack([b for _, b in collapsed])
        loss, bias_gradient, gradient = _evaluate(
            packed,
            (weights, bias, saliences[active]),
            [place if place < regression.folds else -1 for place in active],
        )
        passes += 1
        for i, place in enumerate(active):
            scale = regression.strength
            point = points[place]
            penalised = shape.penalised(point)
            value = scale * loss[i] + 0.5 * float(np.dot(penalised, point))
            slope = shape.gradient(
                scale * gradient[i] * saliences[place][:, None], scale * bias_gradient[i]
            )
            losses[place] = loss[i] / rows[place]
            try:
                points[place] = fits[place].send(
                    (value / rows[place], (slope + penalised) / np.float32(rows[place]))
                )
            except StopIteration as done:
                results[place] = done.value
                del points[place]
    collapsed = [shape.collapse(results[place]) for place in range(len(fits))]
    return Affinities(
        salience=saliences,
        weights=np.stack([a for a, _ in collapsed]),
        bias=np.stack([b for _, b in collapsed]),
        passes=np.array(passes),
        loss=losses,
    )


def salience(
    heard: npt.NDArray[np.float64], listeners: npt.NDArray[np.float64], *, least: int
) -> Floats:
    """Return how much each artist tells, (n_artists,).

    Parameters
    ----------
    heard
        (n_artists, n_countries) listeners of each artist by country.
    listeners
        (n_countries,) all listeners by country.
    least
        Artists with fewer listeners get 0.
    """
    share = listeners / listeners.sum()
    frequency = heard.sum(axis=1)
    seen = (heard + SALIENCE_PRIOR * share) / (frequency + SALIENCE_PRIOR)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        divergence = np.where(seen > 0, seen * np.log(seen / share), 0).sum(axis=1)
    weight = idf(frequency.astype(np.int64), int(listeners.sum())) * (
        np.maximum(divergence, 0) ** SALIENCE_POWER
    )
    weight[frequency < least] = 0
    mean = np.sqrt((frequency * np.square(weight)).sum() / max(frequency.sum(), 1))
    scaled: Floats = (weight * (MEAN_SALIENCE / mean if mean > 0 else 0)).astype(np.float32)
    return scaled


@dataclass(frozen=True)
class _Shape:
    """The parameters of one fit as one flat vector: W, U, W', U', b."""

    vectors: Floats
    region_of: Floats

    @property
    def _shapes(self) -> list[tuple[int, ...]]:
        (artists, dimensions), (countries, regions) = self.vectors.shape, self.region_of.shape
        return [
            (artists, countries),
            (artists, regions),
            (dimensions, countries),
            (dimensions, regions),
            (countries,),
        ]

    def _split(self, point: Floats) -> list[Floats]:
        sizes = [int(np.prod(shape)) for shape in self._shapes]
        parts = np.split(point, np.cumsum(sizes)[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def start(self, listeners: npt.NDArray[np.float64]) -> Floats:
        """Return the point that knows only how frequent countries are."""
        point = np.zeros(sum(int(np.prod(shape)) for shape in self._shapes), dtype=np.float32)
        point[-len(listeners) :] = np.log((listeners + 0.5) / (listeners + 0.5).sum())
        return point

    def collapse(self, point: Floats) -> tuple[Floats, Floats]:
        """Return the rows A and the bias."""
        own, shared, own_vector, shared_vector, bias = self._split(point)
        spread = own_vector + shared_vector @ self.region_of.T
        return own + shared @ self.region_of.T + self.vectors @ spread, bias

    def gradient(self, rows: Floats, bias: Floats) -> Floats:
        """Return the gradient of all parameters from that of the rows A and the bias."""
        by_vector = self.vectors.T @ rows
        parts = (rows, rows @ self.region_of, by_vector, by_vector @ self.region_of, bias)
        return np.concatenate([part.ravel() for part in parts]).astype(np.float32)

    def penalised(self, point: Floats) -> Floats:
        """Return the gradient of the penalty; it is 0 for the bias."""
        slope = point.copy()
        _, shared, _, shared_vector, bias = self._split(slope)
        shared *= SHARED_PENALTY
        shared_vector *= SHARED_PENALTY
        bias[:] = 0
        return slope


def _count(
    packed: Listeners, regression: Regression
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Count listeners by fold, artist and country, and by fold and country."""
    folds, artists, countries = regression.folds, packed.artists, regression.countries

    def contribution(rows: Iterator[PackedListeners], _: None) -> Floats:
        total = np.zeros((folds, artists + 1, countries), dtype=np.float32)
        for listeners in rows:
            labels = listeners.labels.astype(np.int64)
            owner = np.repeat(np.arange(len(labels)), np.diff(listeners.plays.indptr))
            place = listeners.plays.indices.astype(np.int64) * countries + labels[owner]
            for fold in range(folds):
                inside = listeners.folds == fold
                counts = np.bincount(place[inside[owner]], minlength=artists * countries)
                total[fold, :-1] += counts.reshape(artists, countries)
                total[fold, -1] += np.bincount(labels[inside], minlength=countries)
        return total

    both = packed.sum(contribution, (folds, artists + 1, countries), None).astype(np.float64)
    return both[:, :-1], both[:, -1]


def _evaluate(
    packed: Listeners,
    fits: Fits,
    left_out: list[int],
) -> tuple[npt.NDArray[np.float64], Floats, Floats]:
    """Return each fit's summed loss and its gradients by the bias and by salience-weighted rows.

    Each fit leaves out the listeners of one fold; -1 is none.
    """
    active, artists, countries = fits[0].shape

    def contribution(rows: Iterator[PackedListeners], shared: Fits) -> Floats:
        weights, bias, saliences = shared
        total = np.zeros((active, artists + 2, countries), dtype=np.float32)
        losses = np.zeros(active)
        for listeners in rows:
            plays = listeners.plays
            squares = sparse.csr_matrix((plays.data**2, plays.indices, plays.indptr), plays.shape)
            energy = squares @ np.ascontiguousarray(np.square(saliences).T)
            scale = np.where(energy > 0, energy, 1) ** -NORM_POWER
            for i, fold in enumerate(left_out):
                inside = np.flatnonzero(listeners.folds != fold)
                mine, factor = plays[inside], scale[inside, i : i + 1].astype(np.float32)
                logits = (mine @ weights[i]) * factor + bias[i]
                logits -= logits.max(axis=1, keepdims=True)
                error = np.exp(logits)
                norm = error.sum(axis=1, keepdims=True)
                error /= norm
                own = (np.arange(len(inside)), listeners.labels[inside])
                losses[i] += float((np.log(norm[:, 0]) - logits[own]).sum(dtype=np.float64))
                error[own] -= 1
                total[i, -1] += error.sum(axis=0)
                error *= factor
                total[i, :-2] += mine.T @ error
        total[:, -2, 0] = losses
        return total

    total = packed.sum(contribution, (active, artists + 2, countries), fits)
    return total[:, -2, 0].astype(np.float64), total[:, -1], total[:, :-2]

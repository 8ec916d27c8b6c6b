"""Artists' affinities to countries: multinomial logistic regression on TF-IDF, over Spark.

A listener's row is x = w·s / (Σ (w·s)²)^`NORM_POWER`, w being listening weights and s the artists'
`glue_jobs.country.salience`. The regression sees [x, `VECTOR_SCALE`·x·V] with V the artists'
vectors, and has, beside the weights of each country, weights that a region's countries share.
That collapses to one row per artist,

    A = W + U·region + VECTOR_SCALE·V·(W' + U'·region),    logits = x·A + b.

One fit per fold leaves that fold out, for features of its listeners that never saw their label;
these fits share each pass over the data. One is on all, and starts from the mean of the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse

from glue_jobs.country.lbfgs import minimise
from glue_jobs.country.salience import of_fits
from listening.country.listeners import NORM_POWER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glue_jobs.country.packing import Listeners, PackedListeners

Floats = npt.NDArray[np.float32]
Fits = tuple[Floats, Floats, Floats]
"""Salience-weighted rows, bias and salience of some fits."""

VECTOR_SCALE = 2.0
SHARED_PENALTY = 1.7  # of the weights that a region's countries share, against a country's own


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
        (fits,) passes over the data; those of the folds share theirs.
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
    saliences, listeners = of_fits(
        packed,
        folds=regression.folds,
        countries=regression.countries,
        least=regression.min_listeners,
    )
    problem = _Problem(
        packed,
        regression,
        _Shape.of(vectors, regression.region_of),
        saliences,
        listeners.sum(axis=1),
    )
    everyone, start = regression.folds, problem.shape.start
    folds = problem.solve({place: start(listeners[place]) for place in range(everyone)})
    # Near where the fit on all will end. The other way round, folds would see what they leave out.
    near = np.mean([end.point for end in folds.values()], axis=0)
    whole = problem.solve({everyone: near})
    ends = [*folds.values(), *whole.values()]
    collapsed = [problem.shape.collapse(end.point) for end in ends]
    return Affinities(
        salience=saliences,
        weights=np.stack([weights for weights, _ in collapsed]),
        bias=np.stack([bias for _, bias in collapsed]),
        passes=np.array([end.passes for end in ends]),
        loss=np.array([end.loss for end in ends]),
    )


@dataclass(frozen=True)
class _End:
    """Where a fit ended: its parameters, mean log loss, and how many passes it took."""

    point: Floats
    loss: float
    passes: int


@dataclass(frozen=True)
class _Problem:
    """What some fits have in common.

    Parameters
    ----------
    packed, regression, shape
        The listeners, how to fit, and what the parameters are.
    saliences
        (fits, n_artists).
    rows
        (fits,) listeners.
    """

    packed: Listeners
    regression: Regression
    shape: _Shape
    saliences: Floats
    rows: npt.NDArray[np.float64]

    def solve(self, starts: dict[int, Floats]) -> dict[int, _End]:
        """Minimise fits, by place, from where each is to start; they share each pass."""
        fits = {
            place: minimise(
                start,
                iterations=self.regression.iterations,
                tolerance=self.regression.tolerance,
            )
            for place, start in starts.items()
        }
        points = {place: next(each) for place, each in fits.items()}
        ends: dict[int, _End] = {}
        passes = 0
        while points:
            active = list(points)
            losses, bias_gradients, gradients = self._at(points)
            passes += 1
            for i, place in enumerate(active):
                scale = np.float32(self.regression.strength)
                gradients[i] *= (scale * self.saliences[place])[:, None]
                value, slope = self.shape.objective(
                    points[place], float(scale * losses[i]), gradients[i], scale * bias_gradients[i]
                )
                share = np.float32(1 / self.rows[place])  # the objective of one listener
                slope *= share
                try:
                    points[place] = fits[place].send((float(share * value), slope))
                except StopIteration as done:
                    ends[place] = _End(done.value, losses[i] / self.rows[place], passes)
                    del points[place]
        return {place: ends[place] for place in starts}

    def _at(self, points: dict[int, Floats]) -> tuple[npt.NDArray[np.float64], Floats, Floats]:
        shape = (len(points), self.packed.artists, self.regression.countries)
        weights = np.empty(shape, dtype=np.float32)
        bias = np.empty((len(points), self.regression.countries), dtype=np.float32)
        for i, (place, point) in enumerate(points.items()):
            rows, bias[i] = self.shape.collapse(point)
            np.multiply(rows, self.saliences[place][:, None], out=weights[i])
        return _evaluate(
            self.packed,
            (weights, bias, self.saliences[list(points)]),
            [place if place < self.regression.folds else -1 for place in points],
        )


@dataclass(frozen=True)
class _Shape:
    """The parameters of one fit as one flat vector: the rows of W, those of W' and b.

    What a region's countries share needs no parameters of its own. With R telling each country's
    region and p the penalty of shared weights, ½·(|W|² + p·|U|²) is, where W + U·Rᵀ is given, at
    least ½·|(W + U·Rᵀ)·S⁻¹|² with S = (I + R·Rᵀ/p)^½. So W stands for the sum times S⁻¹, and

        A = (W + V·W')·S.
    """

    vectors: Floats
    sharing: Floats

    @classmethod
    def of(cls, vectors: Floats, region_of: Floats) -> _Shape:
        """Return the shape for artists' vectors and what `Regression.region_of` returns."""
        lengths = np.linalg.norm(vectors, axis=0)
        values, axes = np.linalg.eigh(
            np.eye(len(region_of)) + region_of @ region_of.T / SHARED_PENALTY
        )
        return cls(
            (VECTOR_SCALE * vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32),
            ((axes * np.sqrt(values)) @ axes.T).astype(np.float32),
        )

    def start(self, listeners: npt.NDArray[np.float64]) -> Floats:
        """Return the point that knows only how frequent countries are."""
        point = np.zeros((sum(self.vectors.shape) + 1, len(listeners)), dtype=np.float32)
        point[-1] = np.log((listeners + 0.5) / (listeners + 0.5).sum())
        return point.ravel()

    def collapse(self, point: Floats) -> tuple[Floats, Floats]:
        """Return the rows A and the bias."""
        own, by_vector, bias = self._split(point)
        return (own + self.vectors @ by_vector) @ self.sharing, bias

    def objective(
        self, point: Floats, loss: float, rows: Floats, bias: Floats
    ) -> tuple[float, Floats]:
        """Return a loss with its penalty, and the gradient by all parameters.

        Parameters
        ----------
        point
            The parameters.
        loss
            The loss there.
        rows, bias
            Its gradient by the rows A and by the bias.
        """
        penalised = point[: -len(bias)]
        gradient = np.empty_like(point)
        own, by_vector, last = self._split(gradient)
        np.matmul(rows, self.sharing, out=own)
        np.matmul(self.vectors.T, own, out=by_vector)
        last[:] = bias
        gradient[: -len(bias)] += penalised
        return loss + 0.5 * float(np.dot(penalised, penalised)), gradient

    def _split(self, point: Floats) -> tuple[Floats, Floats, Floats]:
        table = point.reshape(-1, len(self.sharing))
        artists = len(self.vectors)
        return table[:artists], table[artists:-1], table[-1]


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
